"""The clocks of a node's boots: what the view `dated` makes of an uptime, for whoever dates many at once."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quaver.store.store import Store

_SETS = "SELECT boot, uptime_ms, offset_ms FROM clock_set WHERE node = ? ORDER BY boot, uptime_ms"
_RECEIPTS = """
SELECT e.boot, p.uncertain_ms, e.offset_ms + p.shift_ms FROM receipt e JOIN span p ON p.number = e.span
WHERE e.node = ?
"""

NO_DATE = np.int64(-(2**62))


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

    def dates_ms(self, boots: NDArray[np.int64], uptimes_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """As date_ms, of many at once; each boot's stand together. Both: (n,). NO_DATE where nothing dates one."""
        dates = np.full(len(boots), NO_DATE)
        edges = [*np.flatnonzero(np.diff(boots, prepend=-1)), len(boots)]
        for begin, end in pairwise(edges):
            boot, own = int(boots[begin]), uptimes_ms[begin:end]
            if boot in self._sets:
                uptimes, offsets = (np.array(one) for one in self._sets[boot])
                dates[begin:end] = own + offsets[np.maximum(np.searchsorted(uptimes, own, "right") - 1, 0)]
            elif boot in self._receipts:
                dates[begin:end] = own + self._receipts[boot]
        return dates
