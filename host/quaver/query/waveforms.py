"""The waveforms of a node in a store: the answers by which it gave one, put together again.

`quaver node NAME waveform` and `waveform --alarm` ask for what a waveform is and then for its parts; whatever an ingest
heard of that is in the store.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver.store.store import Store

_ANSWERS = """
SELECT boot, seq, time_ms, body FROM dated WHERE node = ? AND class = 'answer' ORDER BY received_ms, boot, seq
"""
_OPEN_MAX = 4  # waveforms that are asked for at a time
_SIZE_MAX = 1 << 20


@dataclass(frozen=True)
class Waveform:
    """data: int16, little-endian, counts of scale_g g at rate_hz. boot and before: it was measured before the record
    of that number in that boot; None for an alarm's, whose moment is uptime_ms. time_ms: since 1970, when it was
    measured, or else asked for.
    """

    data: bytes
    rate_hz: float
    scale_g: float
    time_ms: int
    boot: int
    before: int | None
    uptime_ms: int | None

    @property
    def samples(self) -> int:
        return len(self.data) // 2


@dataclass
class _Open:
    """What is there of one so far."""

    about: Mapping[str, Any]
    boot: int
    seq: int
    time_ms: int
    parts: dict[int, bytes] = field(default_factory=dict)

    def whole(self) -> Waveform | None:
        about = self.about
        data = b"".join(self.parts[at] for at in sorted(self.parts))
        if len(data) != about["size"] or crc32(data) != about["crc"]:
            return None
        alarm = "boot" in about
        return Waveform(
            data,
            float(about["rate_hz"]),
            float(about["scale_g"]),
            int(about.get("time_ms", self.time_ms)),
            int(about["boot"]) if alarm else self.boot,
            None if alarm else self.seq,
            int(about["uptime_ms"]) if alarm else None,
        )


def waveforms(store: Store, node_id: str) -> tuple[list[Waveform], int]:
    """The whole ones, each once, in the order in which they came; and how many are not whole. Raises StoreError."""
    found: dict[int, Waveform] = {}
    begun: set[int] = set()
    pending: list[_Open] = []
    for boot, seq, time_ms, body in store.query(_ANSWERS, (node_id,)):
        result = json.loads(body).get("result")
        if not isinstance(result, dict):
            continue
        if _describes(result):
            begun.add(result["crc"])
            pending = [*pending, _Open(result, boot, seq, time_ms)][-_OPEN_MAX:]
        elif isinstance(result.get("data"), str) and isinstance(result.get("at"), int):
            for one in pending:
                one.parts[result["at"]] = bytes.fromhex(result["data"])
                if one.about["crc"] not in found and (whole := one.whole()):
                    found[one.about["crc"]] = whole
    return list(found.values()), len(begun - found.keys())


def _describes(result: Mapping[str, Any]) -> bool:
    numbers = all(isinstance(result.get(name), int | float) for name in ("size", "crc", "rate_hz", "scale_g"))
    return numbers and 0 < result["size"] <= _SIZE_MAX and result["rate_hz"] > 0 and result["scale_g"] > 0
