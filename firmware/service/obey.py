"""The composition root of field operations: what opens, obeys and answers a command, built when the first one comes.

node.mailbox imports it and gives it back; nothing here outlives that but what `state` returns.
"""

import asyncio
import gc
import os

import hal
from command.operations import Operations
from node import seal
from node.room import drop, load, once
from quaver_wire.cose import node_id
from quaver_wire.fields import WireError
from service.downlink import Downlink, Refused
from service.replay import Window
from service.runner import Commands, taken

_ANSWER_MS = 300  # by then the answer is in the outbox
_STEP_MS = 100
_HOLD_MS = 15_000
_GOODBYE_MS = 10_000  # for the answer, and what the broker is told last, to leave
_FORCE = "/config.json"


class Service:
    """parts: as node.mailbox has them. state: what an earlier Service left, or None after a start.

    mailbox: told when the node is to leave. ending: a restart is under way, so this must stay.
    """

    def __init__(self, parts, state=None, mailbox=None):
        self._parts = parts
        self._mailbox = mailbox
        self.ending = False
        self._keys = load("build.keys").load_keys()
        self._whole = True
        window, ids = None, []
        try:
            window, ids = state or taken()
        except ValueError as error:
            self._whole = False
            print("node: commands:", error)
        self._window = Window(window)
        own = node_id(bytes.fromhex(_with_port(lambda port, board: port.unique_id())))
        channels = {
            generation: seal.channel(key, own, generation, "downlink") for generation, key in self._keys.items()
        }
        drop("build", "quaver_wire.hkdf")
        self._downlink = Downlink(own, channels, self._window)
        verbs = {
            "identify": _identify,
            "measure": parts["measuring"].now,
            "waveform": self._waveform,
            "hold": lambda: parts["measuring"].hold(_HOLD_MS),
            "relearn": self._relearn,
            "log": lambda: parts["log"].lines,
            "announce": self._announce,
            "restart": lambda delay_ms: self._after(delay_ms, self._restart),
            "erase": lambda delay_ms: self._leave(),
        }
        operations = Operations(_FORCE, _problems, self, verbs, parts["name"])
        self._commands = Commands(operations.handlers(), parts["uptime"].time_ms, self._window, ids)

    def state(self):
        """What must not be forgotten: the window and the ids that were begun."""
        return self._window.state(), self._commands.ids

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
        answer = await self._commands.run(command)
        recorder = self._parts["recorder"]
        try:
            recorder.answer(dict(answer))
        except WireError as error:
            recorder.answer({"id": answer["id"], "error": str(error)})
        return None

    def _trial(self):
        return self._parts["trial"] or load("node.trial").Trial()

    def propose(self, data):
        """Of node.trial, which is read from flash for it alone."""
        self._trial().propose(data)

    def back(self):
        """Of node.trial, as above."""
        self._trial().back()

    def _vibration(self):
        part = self._parts["measuring"].part("vibration")
        if part is None:
            raise ValueError("no vibration sensor")
        return part

    async def _waveform(self):
        return self._vibration().kept()

    def _relearn(self):
        self._vibration().relearn()

    def _announce(self, generation):
        self._parts["recorder"].event("key_announced", generation=generation)

    def _leave(self):
        """The link says goodbye when the answer has left, and erases; without a link the node erases alone."""
        self.ending = True

        async def later():
            await asyncio.sleep_ms(_ANSWER_MS)
            self._mailbox.leaving = self._erase
            await asyncio.sleep_ms(_GOODBYE_MS)
            self._erase()

        asyncio.create_task(later())

    def _after(self, delay_ms, work):
        self.ending = True

        async def later():
            await asyncio.sleep_ms(_ANSWER_MS)
            for _ in range(_ANSWER_MS, delay_ms, _STEP_MS):
                if not len(self._parts["outbox"]):
                    break  # the answer has left
                await asyncio.sleep_ms(_STEP_MS)
            work()

        asyncio.create_task(later())

    def _restart(self):
        self._parts["outbox"].link(False)  # what is in RAM goes to flash
        print("node: restarts, as it was told to")
        hal.restart.reset()

    def _erase(self):
        from command.erase import erase

        try:
            journal = ["/journal/" + name for name in os.listdir("/journal")]
        except OSError:
            journal = []
        gc.collect()
        print("node: retired")
        erase(journal, progress=self._parts["supervisor"].alive)
        hal.restart.reset()


def _with_port(work):
    """work(port, board); the hardware's room is given back at once."""
    import board

    try:
        return work(hal.port(board), board)
    finally:
        drop("hal.chip", "board")


def _identify():
    _with_port(load("command.blink").identify)


def _problems(config):
    return once("build.config", "parse", config)[1]
