"""Distinguishes a lost connection to a broker from one that another client took over.

A broker ends a session when another client connects under its id, and MQTT 3.1.1 has no word for why (section 3.1.4).
So what shows is a connection that ends right after it began, again and again; and two that fight lose what is under
way each time. Who sees it says so, and stays away for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_SHORT_S = 10.0  # a connection that lasts no longer was hardly lost by a network
_ENOUGH = 2  # such connections on end are another's doing
_AWAY_S = (15, 300)  # then: long enough for the other one to get something done


class Rivalry:
    """clock: in seconds."""

    def __init__(self, client_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client_id = client_id
        self._clock = clock
        self._since = clock()
        self._short = 0

    @property
    def seen(self) -> bool:
        """Whether the last connections were taken over."""
        return self._short >= _ENOUGH

    def connected(self) -> None:
        self._since = self._clock()

    def lost(self) -> int:
        """How long to stay away, s; 0: as after any loss."""
        self._short = self._short + 1 if self._clock() - self._since < _SHORT_S else 0
        return min(_AWAY_S[0] * 2 ** (self._short - _ENOUGH), _AWAY_S[1]) if self.seen else 0

    def line(self, what: str, pause_s: int) -> str:
        """The line to print; what: kind of client, as "ingest"."""
        return (
            f"the session was taken over {self._short} times, each time right after it began: another "
            f"{what} connects as "
            f"{self._client_id}; stop one of the two; trying again in {pause_s} s"
        )
