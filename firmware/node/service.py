"""The composition root of field operations: what opens, obeys and answers a command, built when the first one comes.

node.mailbox imports it and gives it back; nothing here outlives that but what `state` returns.
"""

import asyncio
import gc
import os

import board

import hal
from node import config as configuration
from node import seal
from node.commands import Commands, load
from node.downlink import Downlink, Refused
from node.keys import load_keys, save_key
from node.operations import Operations
from node.replay import Window
from quaver_wire.cose import node_id
from quaver_wire.fields import WireError

_BLINKS = 20
_BLINK_MS = 125
_ANSWER_MS = 300  # by then the answer is in the outbox
_STEP_MS = 100
_FORCE = "/config.json"


class Service:
    """parts: as node.mailbox has them. state: what an earlier Service left, or None after a start."""

    def __init__(self, parts, state=None):
        self._parts = parts
        self._port = hal.port(board)
        self._keys = load_keys()
        self._whole = True
        window, ids = None, []
        try:
            window, ids = state or load()
        except ValueError as error:
            self._whole = False
            print("node: commands:", error)
        self._window = Window(window)
        own = node_id(bytes.fromhex(self._port.unique_id()))
        channels = {
            generation: seal.channel(key, own, generation, "downlink") for generation, key in self._keys.items()
        }
        self._downlink = Downlink(own, channels, self._window)
        verbs = {
            "identify": self._identify,
            "measure": parts["measuring"].now,
            "waveform": self._waveform,
            "relearn": self._relearn,
            "log": lambda: parts["log"].lines,
            "announce": self._announce,
            "restart": lambda delay_ms: self._after(delay_ms, self._restart),
            "erase": lambda delay_ms: self._after(delay_ms, self._erase),
        }
        trial = parts["trial"]
        if trial is None:
            from node.trial import Trial

            trial = Trial()
        operations = Operations(_FORCE, _problems, trial, verbs, parts["name"])
        self._commands = Commands(operations.handlers(), parts["uptime"].time_ms, self._window, ids)
        self._blinking = None

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
            save_key(newest, self._keys[newest])
        answer = await self._commands.run(command)
        recorder = self._parts["recorder"]
        try:
            recorder.answer(dict(answer))
        except WireError as error:
            recorder.answer({"id": answer["id"], "error": str(error)})
        return None

    def _identify(self):
        """Blink for five seconds; again while it does changes nothing."""
        print("node: identify")
        if board.LED is not None and (self._blinking is None or self._blinking.done()):
            self._blinking = asyncio.create_task(self._blink(self._port.output(board.LED, 0)))

    async def _blink(self, led):
        for count in range(2 * _BLINKS):
            led.value(1 - count % 2)
            await asyncio.sleep_ms(_BLINK_MS)

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

    def _after(self, delay_ms, work):
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
        hal.lasting.reset()

    def _erase(self):
        from node.erase import erase

        try:
            journal = ["/journal/" + name for name in os.listdir("/journal")]
        except OSError:
            journal = []
        gc.collect()
        print("node: retired")
        erase(journal, progress=self._parts["supervisor"].alive)
        hal.lasting.reset()


def _problems(config):
    return configuration.parse(config)[1]
