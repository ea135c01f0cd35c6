"""The last lines of the console, for whoever asks from afar."""

import builtins
import time

from micropython import const

_LINES = const(12)
_WIDTH = const(72)


class ConsoleLog:
    """lines: the last ones, oldest first, each with the seconds since it was made."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._began = time.ticks_ms()
        self._print = builtins.print
        # of its own: whoever empties the modules of a node that was stopped must still be able to print
        self._now = time.ticks_ms
        self._diff = time.ticks_diff

    def install(self) -> None:
        """From now on record what anybody prints."""
        builtins.print = self.print

    def print(self, *words: object, **settings) -> None:
        self._print(*words, **settings)
        if settings:
            return  # not a line
        if len(self.lines) >= _LINES:
            self.lines.pop(0)
        seconds = self._diff(self._now(), self._began) // 1000
        parts = [str(word)[:_WIDTH] for word in words]  # no copy of all that somebody at the prompt reads
        self.lines.append("{} {}".format(seconds, " ".join(parts))[:_WIDTH])
