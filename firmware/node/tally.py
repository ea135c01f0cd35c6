"""A count that goes on after a restart: on flash with each reading, at most once a minute, for flash wears out.

It is written before a record says it. So a restart loses what came since the last reading, and what a record said
stands, but on a node that measures more often than once a minute.
"""

import time

from micropython import const

from node import store

_EVERY_MS = const(55_000)  # less than the interval that nodes have: each of their readings is written


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
