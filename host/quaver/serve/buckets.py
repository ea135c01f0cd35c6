"""How many requests each may make: token buckets in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_KEPT = 10_000


class Buckets:
    """Each key may ask `burst` times at once, and `rate` times a second in the long run. now: s, of any start.

    The keys that asked last are kept; one that is forgotten begins anew, and asked long ago.
    """

    def __init__(self, burst: int, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._now = burst, rate, now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one. 0: it may be; else how long to wait for the next, s."""
        now = self._now()
        left, at = self._left.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._rate)
        taken = left >= 1
        self._left[key] = (left - taken, now)
        if len(self._left) > _KEPT:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate
