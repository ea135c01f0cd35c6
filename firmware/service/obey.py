"""The composition root of field operations: what opens, obeys and answers a command, built when the first one comes.

node.mailbox imports it and gives it back; nothing here outlives that but what `state` returns.
"""

import asyncio
import gc
import os

import hal
from node import seal
from node.room import drop, load
from quaver_wire.cose import node_id
from quaver_wire.fields import WireError
from service.downlink import Downlink, Refused
from service.replay import Window
from service.runner import Runner, taken

_ANSWER_MS = 300  # by then the answer is in the outbox
_STEP_MS = 100
_RESTART_MS = 3000  # for the answer to leave
_GOODBYE_MS = 10_000  # for the answer, and what the broker is told last, to leave


class Service:
    """parts: as node.mailbox has them. state: what an earlier Service left, or None after a start.

    mailbox: told when the node is to leave. ending: a restart is under way, so this must stay. The commands work on
    this: mailbox; config: the path of the file in force; root: the folder of the node's files; wave: the samples that
    somebody reads, and blinking: the task of the LED, or None.
    """

    config = "/config.json"
    root = ""

    def __init__(self, parts, state=None, mailbox=None):
        self.parts = parts
        self.mailbox = mailbox
        self.ending = False
        self.wave = None
        self.blinking = None
        self._keys = load("build.keys").load_keys()
        self._whole = True
        window, ids = None, []
        try:
            window, ids = state or taken()
        except ValueError as error:
            self._whole = False
            print("node: commands:", error)
        self._window = Window(window)
        own = node_id(bytes.fromhex(self.hardware(lambda port, board: port.unique_id())))
        channels = {
            generation: seal.channel(key, own, generation, "downlink") for generation, key in self._keys.items()
        }
        drop("build", "hal.chip", "board", "quaver_wire.hkdf")
        self._downlink = Downlink(own, channels, self._window)
        self._runner = Runner(self, parts["uptime"].time_ms, self._window, ids, names=parts.get("commands"))

    def state(self):
        """What must not be forgotten: the window and the ids that were begun."""
        return self._window.state(), self._runner.ids

    async def obey(self, message):
        """Open, carry out and answer a message; returns why it is refused, or None."""
        if not self._whole:
            return "flash"
        try:
            command = self._downlink.open("command", message)
        except Refused as refused:
            return refused.args[0]
        newest = max(self._keys)
        if len(self._keys) > 1 and self._downlink.newest == newest:
            self._keys = {newest: self._keys[newest]}
            load("build.keys").save_key(newest, self._keys[newest])
            drop("build", "quaver_wire.hkdf")
            if "gateways" in self.parts:
                self.parts["gateways"].keys = self._keys
        answer = await self._runner.run(command)
        recorder = self.parts["recorder"]
        try:
            recorder.answer(dict(answer))
        except WireError as error:
            recorder.answer({"id": answer["id"], "error": str(error)})
        return "memory" if answer.get("error") == "memory" else None

    def trial(self):
        """Of node.trial: the one that runs, or one that is read from flash for a proposal."""
        return self.parts["trial"] or load("node.trial").Trial(self.root)

    def vibration(self):
        """What measures vibration. Raises ValueError on a node without."""
        part = self.parts["measuring"].part("vibration")
        if part is None:
            raise ValueError("no vibration sensor")
        return part

    def hardware(self, work):
        """work(port, board), port of hal; what that reads from flash goes with the command."""
        import board

        return work(hal.port(board), board)

    def restart(self):
        """Once the answer has left, or after a while without a link."""
        self.ending = True

        async def later():
            await asyncio.sleep_ms(_ANSWER_MS)
            for _ in range(_ANSWER_MS, _RESTART_MS, _STEP_MS):
                if not len(self.parts["outbox"]):
                    break  # the answer has left
                await asyncio.sleep_ms(_STEP_MS)
            self.parts["outbox"].link(False)  # what is in RAM goes to flash
            print("node: restarts by command")
            hal.restart.reset()

        asyncio.create_task(later())

    def leave(self):
        """The link says goodbye when the answer has left, and erases; without a link the node erases alone."""
        self.ending = True

        async def later():
            await self.mailbox.leave_update()
            try:
                load("update.files").abandon()  # a release that was being fetched
            except OSError as error:  # what stays of it is no secret
                print("node: update:", error)
            drop("update")
            await asyncio.sleep_ms(_ANSWER_MS)
            self.mailbox.leaving = self._erase
            await asyncio.sleep_ms(_GOODBYE_MS)
            self._erase()

        asyncio.create_task(later())

    def _erase(self):
        from command.erase import erase

        try:
            journal = ["/journal/" + name for name in os.listdir("/journal")]
        except OSError:
            journal = []
        gc.collect()
        print("node: retired")
        erase(journal, progress=self.parts["supervisor"].alive)
        hal.restart.reset()
