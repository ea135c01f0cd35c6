"""Keeps the alarms up to date with a store: what came, then the clock, then now and again the ledger."""

from __future__ import annotations

import time

from quaver.alarms.base import Alarm
from quaver.alarms.engine import Engine
from quaver.query.health import expiring, refusals
from quaver.query.source import Source
from quaver.store.ledger import ledger

_BATCH = 1000
_CATCH_UP_S = 60.0
_REFUSALS = 2000  # rows: more than ingest keeps
_REFUSED_MS = 2_000  # between looks at what was refused and whose keys expire,
_LEDGER_MS = 600_000  # and at the ledger, which reads all numbers of a store


class Follower:
    """One engine and what it follows. Of one thread; persons may act on the engine from others meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._looked: dict[str, int] = {}
        self._blind_until = 0.0

    def blind(self) -> None:
        """The store is away, for ingest too, which has to put in what came meanwhile before anybody is silent."""
        self._blind_until = time.monotonic() + _CATCH_UP_S

    def step(self, source: Source, now_ms: int) -> list[Alarm]:
        """Take what came, and look at the clock; the alarms that changed, each once, as they are now.

        Raises AlarmError and StoreError; what was taken until then is kept, and the next step goes on from there.
        """
        changed: dict[int, Alarm] = {}
        place = source.find(self.engine.place)
        while found := source.after(place, _BATCH, now_ms):
            changed |= {alarm.id: alarm for alarm in self.engine.take(found, now_ms)}
            place = found[-1].place
        changed |= {alarm.id: alarm for alarm in self.engine.tick(now_ms, time.monotonic() >= self._blind_until)}
        if self._due("refused", _REFUSED_MS, now_ms):
            self.engine.refusals(refusals(source, None, None, 0, _REFUSALS), now_ms)
            changed |= {alarm.id: alarm for alarm in self.engine.keys(expiring(source), now_ms)}
        if self._due("ledger", _LEDGER_MS, now_ms):
            changed |= {alarm.id: alarm for alarm in self.engine.gaps(ledger(source.store)[0], now_ms)}
        return list(changed.values())

    def _due(self, name: str, every_ms: int, now_ms: int) -> bool:
        if name in self._looked and 0 <= now_ms - self._looked[name] < every_ms:
            return False
        self._looked[name] = now_ms
        return True
