"""Keeps the date: asks a time server when the link is up, at first and then now and then."""

import time

from micropython import const

_LIMIT_MS = const(3000)
_AGAIN_MS = const(3_600_000)  # a crystal of 50 ppm is 0.2 s off by then
_RETRY_MS = const(60_000)


class Timekeeper:
    """ask(host, limit_ms): coroutine of (ms since 1970, uncertainty in ms), raising OSError. clock: has `set`.

    set_date(ms): the chip's own clock, by which certificates are checked.
    """

    def __init__(self, ask, host, clock, set_date):
        self._ask = ask
        self._host = host
        self._clock = clock
        self._set_date = set_date
        self._asked = time.ticks_ms()
        self._pause_ms = 0

    async def tend(self):
        """Ask when it is time to; to be called while the link is up. A server that does not answer is a line."""
        if time.ticks_diff(time.ticks_ms(), self._asked) < self._pause_ms:
            return
        try:
            now, _ = await self._ask(self._host, _LIMIT_MS)
            self._clock.set(now)
            self._set_date(now)
            self._pause_ms = _AGAIN_MS
        except OSError as error:
            print("node:", error)
            self._pause_ms = _RETRY_MS
        self._asked = time.ticks_ms()
