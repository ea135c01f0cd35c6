"""A count that goes on after a restart: now and then on flash, for a flash that is written at each pulse wears out.

A restart loses what was counted since it was written last, a quarter of an hour at most, and never adds anything.
"""

import time

from micropython import const

from node import store

_EVERY_MS = const(900_000)


class Tally:
    """path: of its file on flash; count: what stood there, 0 without one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.count = store.count(path) or 0
        self._written = time.ticks_ms()

    def keep(self, count: int) -> None:
        """Write down the count, when it is time and it is another."""
        now = time.ticks_ms()
        if count == self.count or time.ticks_diff(now, self._written) < _EVERY_MS:
            return
        self._written = now
        try:
            store.replace(self._path, store.checked(count))
            self.count = count
        except OSError:
            pass  # the journal tells of such a flash
