"""The clocks of a node's boots: what the view `dated` makes of an uptime, for whoever dates many at once."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from quaver.store.store import Store

_SETS = "SELECT boot, uptime_ms, offset_ms FROM clock_set WHERE node = ? ORDER BY boot, uptime_ms"
_RECEIPTS = """
SELECT e.boot, p.uncertain_ms, e.offset_ms + p.shift_ms FROM receipt e JOIN span p ON p.number = e.span
WHERE e.node = ?
"""

HOUR_MS = 3_600_000


class Span(NamedTuple):
    """Hours of a boot's uptime, the last included, and time - uptime where they begin."""

    boot: int
    first: int
    last: int
    offset_ms: int


class NodeClocks:
    """Of one node, by its number in the store, as they are known now."""

    def __init__(self, store: Store, number: int) -> None:
        self._sets: dict[int, tuple[list[int], list[int]]] = {}
        for boot, uptime_ms, offset_ms in store.query(_SETS, (number,)):
            uptimes, offsets = self._sets.setdefault(boot, ([], []))
            uptimes.append(uptime_ms)
            offsets.append(offset_ms)
        best: dict[int, tuple[bool, int, int]] = {}
        for boot, uncertain_ms, offset_ms in store.query(_RECEIPTS, (number,)):
            rank = (uncertain_ms is None, uncertain_ms or 0, offset_ms)
            best[boot] = min(best.get(boot, rank), rank)
        self._receipts = {boot: rank[2] for boot, rank in best.items()}

    def boots(self) -> list[int]:
        return sorted(self._sets.keys() | self._receipts.keys())

    def offset_ms(self, boot: int, uptime_ms: int) -> int | None:
        """time - uptime at that uptime of a boot; None where nothing dates it."""
        if boot in self._sets:
            uptimes, offsets = self._sets[boot]
            return offsets[max(bisect_right(uptimes, uptime_ms) - 1, 0)]
        return self._receipts.get(boot)

    def date_ms(self, boot: int, uptime_ms: int) -> int | None:
        offset = self.offset_ms(boot, uptime_ms)
        return None if offset is None else uptime_ms + offset

    def spans(self, since_ms: int, until_ms: int) -> list[Span]:
        """The hours of uptime that touch a range of dates, of all boots in order. What nothing dates is in none."""
        found = []
        for boot in self.boots():
            uptimes, offsets = self._sets.get(boot) or ([0], [self._receipts[boot]])
            begins = [0, *uptimes[1:]]
            for begin, end, offset in zip(begins, [*begins[1:], None], offsets, strict=True):
                first = max(-(-begin // HOUR_MS), (since_ms - offset) // HOUR_MS)
                last = (until_ms - offset) // HOUR_MS
                if end is not None:
                    last = min(last, (end - 1) // HOUR_MS)
                if first <= last:
                    found.append(Span(boot, first, last, offset))
        return found
