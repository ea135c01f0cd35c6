"""What a node's code says of all that a store has of it, learning included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quaver.twin.device import Device
from quaver.twin.records import Change, History, learning

_BATCH = 200
Judged = list[tuple[int, int | None, list[Change]]]


@dataclass(frozen=True)
class Replayed:
    """judged: (level, measurements learned from, changes) after each measurement. teach: whether the baseline could
    be learned from the records as the node learned it; note: why not."""

    judged: Judged
    teach: bool
    note: str


def replayed(device: Device, name: str, found: History, config: Mapping[str, Any]) -> Replayed:
    """A node's records under its own configuration. Raises WhatIfError."""
    classes = bool((config.get("machine") or {}).get("classes"))
    teach, note = next(learning(found.measured), None) is not None and not classes, ""
    judged = replay(device, name, found, config, {}, teach)
    if teach and (wrong := _learned_otherwise(found, judged)):
        teach, note = False, f"what the node learned can't be learned again: {wrong}"
        judged = replay(device, name, found, config, {}, teach)
    elif not teach:
        why = "its classes are told apart by more than records have" if classes else "the store does not begin with it"
        note = f"what the node learned can't be learned again: {why}"
    return Replayed(judged, teach, note)


def replay(
    device: Device, name: str, found: History, config: Mapping[str, Any], changes: Mapping[str, Any], teach: bool
) -> Judged:
    """A node's records under `config` with `changes`. Raises WhatIfError."""
    begins = next(learning(found.measured), 0)
    device.open(name, config, changes, rate_hz=found.rate_hz, samples=found.samples, teach=teach)
    judged: Judged = []
    for at in range(0, len(found.measured), _BATCH):
        part = found.measured[at : at + _BATCH]
        judged += device.judge(
            [(name, one, teach and at + i >= begins, at + i == begins) for i, one in enumerate(part)]
        )
    return judged


def _learned_otherwise(found: History, judged: Judged) -> str:
    """Why the baseline that was learned again is not the node's; "" where it is."""
    for one, (_, learned, _) in zip(found.measured, judged, strict=True):
        said = one.values.get("learned")
        if said is not None and learned is not None and said != learned:
            return f"after a measurement the node had {said} of them, and its records give {learned}"
    return ""
