"""The last lines of the console, for whoever asks from afar."""

import builtins
import time

from micropython import const

_LINES = const(12)
_WIDTH = const(72)


class Log:
    """lines: the last ones, oldest first, each with the seconds since it was made."""

    def __init__(self):
        self.lines = []
        self._began = time.ticks_ms()
        self._print = builtins.print

    def keep(self):
        """From now on keep what anybody prints."""
        builtins.print = self.print

    def print(self, *words, **settings):
        self._print(*words, **settings)
        if settings:
            return  # not a line
        if len(self.lines) >= _LINES:
            self.lines.pop(0)
        seconds = time.ticks_diff(time.ticks_ms(), self._began) // 1000
        self.lines.append("{} {}".format(seconds, " ".join([str(word) for word in words]))[:_WIDTH])
