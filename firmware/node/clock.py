"""Time since boot that does not wrap, from the port's wrapping ticks."""

import time


class Uptime:
    """Milliseconds since boot. `ms()` must be called at least every 6 days: ticks wrap after 12.4."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._ms = 0

    def ms(self):
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms
