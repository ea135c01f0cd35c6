"""Keeps the alarms up to date with a store: what came, then the clock, then now and again the ledger."""

from __future__ import annotations

from quaver.alarms.base import Alarm
from quaver.alarms.engine import Engine
from quaver.query.source import Source
from quaver.store.ledger import ledger

_BATCH = 1000
_LEDGER_MS = 600_000  # between looks at the ledger, which reads all numbers of a store


class Follower:
    """One engine and what it follows. Of one thread; persons may act on the engine from others meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._looked_ms: int | None = None

    def step(self, source: Source, now_ms: int) -> list[Alarm]:
        """Take what came, and look at the clock; the alarms that changed, each once, as they are now.

        Raises AlarmError and StoreError; what was taken until then is kept, and the next step goes on from there.
        """
        changed: dict[int, Alarm] = {}
        place = source.find(self.engine.place)
        while found := source.after(place, _BATCH, now_ms):
            changed |= {alarm.id: alarm for alarm in self.engine.take(found, now_ms)}
            place = found[-1].place
        changed |= {alarm.id: alarm for alarm in self.engine.tick(now_ms)}
        if self._looked_ms is None or now_ms - self._looked_ms >= _LEDGER_MS:
            self._looked_ms = now_ms
            accounts = ledger(source.store)[0]
            changed |= {alarm.id: alarm for alarm in self.engine.gaps(accounts, now_ms)}
        return list(changed.values())
