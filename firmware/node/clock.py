"""Time since boot that does not wrap, from the port's wrapping ticks, and the date once somebody has told it."""

import time


class Uptime:
    """Milliseconds since boot. `ms()` must be called at least every 6 days: ticks wrap after 12.4."""

    def __init__(self):
        self._last = time.ticks_ms()
        self._ms = 0
        self._offset = None
        self._news = False

    def ms(self):
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def set(self, time_ms):
        """Take `time_ms`, milliseconds since 1970, for now."""
        self._offset = time_ms - self.ms()
        self._news = True

    def time_ms(self):
        """Milliseconds since 1970, or None before `set`."""
        return None if self._offset is None else self.ms() + self._offset

    def news(self):
        """`time_ms()`, but once after each `set` alone: the reader dates by it whatever has only an uptime."""
        if not self._news:
            return None
        self._news = False
        return self.time_ms()
