"""What a store has of one node, as its code would have it: measurements in their order, and what the node told of each.

A level is told in an event before the record of its measurement; where that record is missing, the next one of the
boot stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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
WHERE node = ? AND class IN ('telemetry', 'event', 'answer') ORDER BY boot, seq
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
    """One measurement's record. since_s: from the one before it in its boot; None for the first.

    teaches: neither clipped nor incomplete. begins: the first of those that a baseline was learned from.
    """

    boot: int
    time_ms: int
    since_s: float | None
    values: dict[str, Any]
    level: int
    teaches: bool
    begins: bool = False
    told: list[Change] = field(default_factory=list)


@dataclass
class History:
    """Everything of a node, in order. spectra: records of them; waveform_parts: answers with samples; learned: whether
    the store has the whole of a learning."""

    measured: list[Measured]
    spectra: int = 0
    waveform_parts: int = 0
    rate_hz: float | None = None
    samples: int | None = None

    @property
    def features(self) -> set[str]:
        """What a limit can be set on, and at least one record has."""
        return {name for name, key in LIMITED.items() if any(one.values.get(key) is not None for one in self.measured)}


def history(store: Store, node_id: str) -> History:
    """What the store has of a node; node_id: as the view `dated` has it. Raises StoreError."""
    found = History([])
    pending: list[Change] = []
    boot, before_ms, learned = -1, None, 0
    for row in store.query(_ROWS, (node_id,)):
        row_boot, _, message_class, time_ms, uptime_ms, text = row
        body: dict[str, Any] = json.loads(text)
        if row_boot != boot:
            boot, before_ms = row_boot, None
        if message_class == "answer":
            found.waveform_parts += "data" in (body.get("result") or {})
        elif message_class == "event":
            if body.get("code") == _LEVEL:
                pending.append(_change(time_ms, body))
        elif "spectrum" in body:
            found.spectra += 1
        elif "nodes" not in body:  # which is a gateway's
            since = None if before_ms is None else (uptime_ms - before_ms) / 1000
            before_ms = uptime_ms
            found.rate_hz = body.get("rate_hz", found.rate_hz)
            found.samples = body.get("samples", found.samples)
            quality = body.get("quality", 0)
            one = Measured(
                boot,
                time_ms,
                since,
                {name: body[name] for name in _KEPT & body.keys()},
                level=body.get("level", 0),
                teaches=not quality & _UNFIT,
                told=[replace(change, time_ms=time_ms) for change in pending],
            )
            if body.get("machine") == _LEARNING:
                one.begins = body.get("learned", 0) <= 1 and learned != body.get("learned", 0)
                learned = body.get("learned", 0)
            pending = []
            found.measured.append(one)
    return found


def _change(time_ms: int, body: dict[str, Any]) -> Change:
    return Change(
        time_ms, str(body.get("subject", "")), body.get("event_level", 0), body.get("value"), body.get("limit")
    )


def learning(measured: list[Measured]) -> Iterator[int]:
    """Where the learning of a baseline begins."""
    return (at for at, one in enumerate(measured) if one.begins)
