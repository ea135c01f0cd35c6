"""What a store has of one node, as its code would have it: measurements in their order, and what the node told of each.

A level is told in an event before the record of its measurement; where that record is missing, the next one of the
boot stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quaver.store.store import Store
from quaver_wire.fields import EVENTS, LIMITED, QUALITY

_LEVEL = EVENTS.index("level")
_LEARNING = 1  # of quaver_wire.names.MACHINE
_UNFIT = 1 << QUALITY.index("dropped") | 1 << QUALITY.index("clipped")  # what teaches nothing
_KEPT = {*LIMITED.values(), "shaft_hz", "shaft_confidence", "energy", "bands", "learned", "machine", "samples"}
_ROWS = """
SELECT boot, seq, class, time_ms, uptime_ms, body FROM dated
WHERE node = ? AND class IN ('telemetry', 'event') ORDER BY boot, seq
"""


@dataclass(frozen=True)
class Change:
    """A level that a feature has from then on, 0 ok, 1 warning, 2 alarm. time_ms: since 1970.

    source: "limits" of the configuration, "machine" for what was learned of it; "" where the node does not say.
    """

    time_ms: int
    feature: str
    level: int
    value: float | None = None
    limit: float | None = None
    source: str = ""


@dataclass
class Measured:
    """One measurement's record, number seq of its boot. since_s: from the one before it in its boot; None for the
    first.

    teaches: neither clipped nor incomplete. begins: the first of those that a baseline was learned from.
    """

    boot: int
    seq: int
    uptime_ms: int
    time_ms: int
    since_s: float | None
    values: dict[str, Any]
    level: int
    teaches: bool
    begins: bool = False
    told: list[Change] = field(default_factory=list)


@dataclass
class History:
    """Everything of a node, in order. spectra: records of them.

    A level's event may come long before the record of its measurement, which is the first with a number above its own.
    """

    measured: list[Measured] = field(default_factory=list)
    spectra: int = 0
    rate_hz: float | None = None
    samples: int | None = None
    at: tuple[int, int] = (-1, -1)  # boot and number of the last telemetry
    _before_ms: int | None = None
    _learned: int = 0
    _told: list[tuple[int, int, Change]] = field(default_factory=list)

    @property
    def features(self) -> set[str]:
        """What a limit can be set on, and at least one record has."""
        return {name for name, key in LIMITED.items() if any(one.values.get(key) is not None for one in self.measured)}

    def take(
        self, boot: int, seq: int, message_class: str, time_ms: int, uptime_ms: int, body: Mapping[str, Any]
    ) -> Measured | None:
        """Take the next record; returns the measurement, if it is one's."""
        if message_class == "event":
            if body.get("code") == _LEVEL:
                self._told.append((boot, seq, _change(time_ms, body)))
        elif message_class == "telemetry" and "nodes" not in body:  # which is a gateway's
            if boot != self.at[0]:
                self._before_ms = None
            self.at = boot, seq
            if "spectrum" not in body:
                return self._measured(boot, seq, time_ms, uptime_ms, body)
            self.spectra += 1
        return None

    def _measured(self, boot: int, seq: int, time_ms: int, uptime_ms: int, body: Mapping[str, Any]) -> Measured:
        since = None if self._before_ms is None else (uptime_ms - self._before_ms) / 1000
        self._before_ms = uptime_ms
        self.rate_hz = body.get("rate_hz", self.rate_hz)
        self.samples = body.get("samples", self.samples)
        mine = [one for one in self._told if one[:2] < (boot, seq)]
        self._told = [one for one in self._told if one[:2] >= (boot, seq)]
        one = Measured(
            boot,
            seq,
            uptime_ms,
            time_ms,
            since,
            {name: body[name] for name in _KEPT & body.keys()},
            level=body.get("level", 0),
            teaches=not body.get("quality", 0) & _UNFIT,
            told=[replace(change, time_ms=time_ms) for _, _, change in sorted(mine, key=lambda one: one[:2])],
        )
        if body.get("machine") == _LEARNING:
            count = body.get("learned", 0)
            one.begins = count <= 1 and self._learned != count
            self._learned = count
        self.measured.append(one)
        return one


def history(store: Store, node_id: str) -> History:
    """What the store has of a node; node_id: as the view `dated` has it. Raises StoreError."""
    found = History()
    for boot, seq, message_class, time_ms, uptime_ms, body in store.query(_ROWS, (node_id,)):
        found.take(boot, seq, message_class, time_ms, uptime_ms, json.loads(body))
    return found


def _change(time_ms: int, body: Mapping[str, Any]) -> Change:
    level = body.get("event_level", 0)
    return Change(time_ms, str(body.get("subject", "")), level, body.get("value"), body.get("limit"))


def learning(measured: list[Measured]) -> Iterator[int]:
    """Where the learning of a baseline begins."""
    return (at for at, one in enumerate(measured) if one.begins)
