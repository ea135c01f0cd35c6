"""The Bluetooth link of a node that sleeps: where it would rest, the node may sleep, and its radio is off."""

import time

import aioble
from micropython import const

from links.ble import Ble

_TALK_MS = const(30_000)  # after a command: there are likely to be more
_DAY_MS = const(86_400_000)


class SleepyBle(Ble):
    """As Ble. power: of node.power."""

    def __init__(self, power, clock, **given):
        super().__init__(clock=clock, **given)
        self._power = power
        self._uptime = clock
        self._own = self._services
        if power.visited_ms is not None:
            age = clock.ms() - power.visited_ms
            if age < _DAY_MS:  # a status is not due again because the chip has slept
                self._told = time.ticks_add(time.ticks_ms(), -age)

    def _stays(self, urgent):
        """An alarm that nobody fetches is not worth the battery: it is tried again behind the next measurement."""
        return super()._stays(False)

    async def _rest(self):
        if self._since(self._talked, _TALK_MS) or self._updates():
            return
        if self._told is not None:
            self._power.visited_ms = self._uptime.ms() - time.ticks_diff(time.ticks_ms(), self._told)
        await self._power.nap("ble", self._radio)

    def _radio(self, on):
        if on:
            capture = getattr(type(self._down), "_init_capture", None)
            if capture:  # aioble's own, which `stop` has taken apart
                capture()
            self._services = self._own
            self._power.start(self.begin)
        else:
            aioble.stop()
