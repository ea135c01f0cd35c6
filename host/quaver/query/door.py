"""The door: every question about a plant goes through it, whichever engine its store lies in.

Each thread that asks has a connection of its own to the store, which is only read.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from quaver.errors import StoreError
from quaver.query.nodes import NodeRow, rows
from quaver.query.source import Source
from quaver.store.location import Location


class Door:
    """location: of the store. clock_ms: since 1970. Everything raises StoreError where the store can't be read."""

    def __init__(self, location: Location, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.location = location
        self.clock_ms = clock_ms
        self._own = threading.local()

    def close(self) -> None:
        """Of the thread that calls; those of others close as they end."""
        source: Source | None = self._own.__dict__.pop("source", None)
        if source is not None:
            source.store.close()

    @contextlib.contextmanager
    def source(self) -> Iterator[Source]:
        """The store, for this thread; opened anew after it failed."""
        source: Source | None = getattr(self._own, "source", None)
        if source is None:
            source = self._own.source = Source(self.location)
        try:
            yield source
        except StoreError:
            self.close()
            raise

    def nodes(self) -> list[NodeRow]:
        """What the newest records of each node say, by topic."""
        with self.source() as source:
            return rows(source, self.clock_ms())
