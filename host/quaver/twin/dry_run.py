"""What a node's rules would have done: its own code, over recordings or the records of a store, and no pin is touched.

A trip is reset as soon as its condition has ended, as by a person who stands beside: so each time is seen.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from quaver.analysis.device import Verdict
from quaver.board.guest import guest
from quaver.board.local import ProgramError, run
from quaver.errors import WhatIfError
from quaver.store.spectra import find_node
from quaver.store.store import Store
from quaver_wire.fields import EVENTS, FAULTS, LEVELS, LIMITED, QUALITY
from quaver_wire.names import ZONES

SENSORS = ("vibration", "temperature", "energy", "current")
_LEVEL = EVENTS.index("level")
_OF_VIBRATION = ("dropped", "clipped", "vibration_failed", "stuck")
_ROWS = """
SELECT boot, class, time_ms, uptime_ms, body FROM dated
WHERE node = ? AND class IN ('telemetry', 'event') AND time_ms >= ? AND time_ms < ? ORDER BY boot, seq
"""
_LIMIT_S = 600.0


@dataclass(frozen=True)
class Measurement:
    """What rules see of one. at_ms: since 1970 where clock says so, else since the first. starts: the node started
    since the one before. sensors: (name, values of the record, quality marks). changes: of levels, as nodes tell them.
    """

    at_ms: int
    clock: bool
    starts: bool
    sensors: list[tuple[str, Mapping[str, Any], list[str]]]
    level: int
    quality: int
    changes: list[tuple[str, str, Mapping[str, int]]]


@dataclass(frozen=True)
class Act:
    """What a rule did, or (known False) what was done because it could not know. at_ms: as of Measurement."""

    at_ms: int
    rule: str
    known: bool
    text: str
    value: float | None
    limit: float | None


@dataclass(frozen=True)
class DryRun:
    """acts: in order. on_ms: how long each output was on, of span_ms; held: how often its minimum time held it back.

    left_out: rules on a sensor that the measurements have not; inputs: rules on an input, which was taken as at rest.
    """

    measurements: int
    span_ms: int
    acts: list[Act]
    on_ms: Mapping[str, int]
    held: Mapping[str, int]
    left_out: list[str]
    inputs: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def dry_run(config: Mapping[str, Any], sensors: Iterable[str], measurements: Iterable[Measurement]) -> DryRun:
    """config: a node's, checked. sensors: of which there are measurements. Raises WhatIfError."""
    if not config.get("rules"):
        raise WhatIfError("the configuration has no rules: docs/rules.md has some to begin with")
    all_of_them = list(measurements)
    if not all_of_them:
        raise WhatIfError("there are no measurements to run the rules over: give others, or an earlier --since")
    with tempfile.TemporaryDirectory(prefix="quaver-rules-") as folder:
        head = {"config": config, "sensors": list(sensors), "folder": folder}
        lines = [json.dumps(head), *(json.dumps(asdict(one)) for one in all_of_them)]
        try:
            said = run(guest(__file__, "rules"), "\n".join(lines) + "\n", heap="64m", limit_s=_LIMIT_S)
        except ProgramError as error:
            raise WhatIfError(f"the device's rules: the run {error}") from error
    acts = [
        Act(at, rule, name == "rule_acted", text, value, limit) for at, name, rule, text, value, limit in said["events"]
    ]
    span = sum(one.at_ms - before.at_ms for before, one in pairwise(all_of_them) if not one.starts)
    return DryRun(len(all_of_them), span, acts, said["on_ms"], said["held"], said["left_out"], said["inputs"])


def of_store(store: Store, name: str, since_ms: int, until_ms: int) -> Iterator[Measurement]:
    """The measurements that a store has of a node, in order. Raises StoreError."""
    changes: list[tuple[str, str, Mapping[str, int]]] = []
    last = None
    for boot, message_class, time_ms, _uptime_ms, text in store.query(
        _ROWS, (find_node(store, name), since_ms, until_ms)
    ):
        body = json.loads(text)
        if message_class == "event":
            if body.get("code") == _LEVEL:
                changes.append(("level", str(body.get("subject", "")), {"level": body.get("event_level", 0)}))
        elif "spectrum" not in body:
            quality = body.get("quality", 0)
            marks = [mark for bit, mark in enumerate(QUALITY) if quality >> bit & 1]
            sensors = [
                ("vibration", body, [mark for mark in marks if mark in _OF_VIBRATION]),
                *((sensor, body, [mark for mark in marks if mark == f"{sensor}_failed"]) for sensor in SENSORS[1:]),
            ]
            yield Measurement(time_ms, True, boot != last, sensors, body.get("level", 0), quality, changes)
            changes, last = [], boot


def of_recording(verdicts: Iterable[Verdict], interval_s: float) -> Iterator[Measurement]:
    """The measurements of a recording, as if a node took one after the other, interval_s apart."""
    before: dict[str, int] = {}
    for verdict in verdicts:
        values = {**verdict.features, "margin_db": verdict.margin_db if verdict.line else None}
        values["fault"] = None if verdict.fault is None else FAULTS.index(verdict.fault)
        values["zone"] = None if verdict.zone is None else ZONES.index(verdict.zone)
        marks = [mark for mark in ("clipped", "stuck") if values[mark]]
        levels = {name: verdict.causes.get(name, 0) for name in LIMITED}
        changes = [("level", name, {"level": level}) for name, level in levels.items() if level != before.get(name, 0)]
        before = levels
        quality = sum(1 << QUALITY.index(mark) for mark in marks)
        yield Measurement(
            round(verdict.index * interval_s * 1000),
            False,
            verdict.index == 0,
            [("vibration", values, marks)],
            LEVELS.index(verdict.level),
            quality,
            list(changes),
        )
