"""What a node would have told under another configuration or firmware: its records, judged again by the device's code.

The code runs twice over all that the store has: under the node's own configuration, which has to give what the node
told, and under the changed one. A change of level that the first does not give is unexplained, and the answer is not
certain: the configuration given is not the node's, records are missing, or it was changed meanwhile. What is judged by
the samples themselves (lines, octaves, named faults), and a trend, can't be replayed: it stays as the node told it.
Where the store has a waveform it is measured again, and spectra tell how the lines of another bearing stand
(`twin.again`); a change of what is measured is answered by these alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.errors import WhatIfError
from quaver.query.waveforms import waveforms
from quaver.release.bundle import read_release
from quaver.store.ledger import ledger
from quaver.store.spectra import find_node, spectra
from quaver.store.store import Store
from quaver.twin.again import Remeasured, Stood, remeasured, stood
from quaver.twin.device import Device, aside
from quaver.twin.records import Change, History, Measured, history
from quaver.twin.replay import replay, replayed
from quaver_wire.fields import LIMITED, TELEMETRY
from quaver_wire.names import rows

_ALARM = 2
# What the store's data answer, and why not the rest.
_ANSWERED = ("alarm.count", "alarm.of", "alarm.hysteresis", "machine.group", "machine.mounting")
_BY_LEARNING = ("machine.learn", "machine.running_g")
_BY_SAMPLES = ("vibration", "machine.rpm", "machine.bearing", "machine.tachometer_pin", "machine.tachometer_pulses")
_BY_WAVEFORM = ("vibration.band_low_hz", "vibration.band_high_hz", "machine.rpm", "machine.bearing")
_BEARING = "machine.bearing"  # and that by spectra, too
_STEPS = {name: steps for _, group, cells in rows(TELEMETRY) if group == "" for name, steps in rows(cells, 2)}


@dataclass(frozen=True)
class Answer:
    """told: changes of level as the node told them since then; would: as they would have been.

    by_records: whether records answer at all: not what changes the measurement. remeasured, stood: what waveforms and
    spectra say; incomplete: waveforms of which parts are missing; spectra: records of them.
    explained: of those told, how many its own configuration gives too; unexplained: those that only one of them has,
    as (change, whether the node told it). kept: features that can't be judged again, as told in both. dropped: those
    that the changed rule would judge otherwise, in neither. close: by feature, values that lie within their rounding
    of a limit. notes: what else is to be known, in lines. missing: records that the ledger has no more, by reason, of
    all the store.
    """

    node: str
    firmware: str
    since_ms: int
    measured: Sequence[Measured]
    by_records: bool
    remeasured: tuple[Remeasured, ...]
    incomplete: int
    stood: tuple[Stood, ...]
    spectra: int
    told: tuple[Change, ...]
    would: tuple[Change, ...]
    explained: int
    unexplained: tuple[tuple[Change, bool], ...]
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    close: Mapping[str, int]
    missing: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def certain(self) -> bool:
        return not self.unexplained

    def as_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "firmware": self.firmware,
            "measurements": len(self.measured),
            "first_ms": self.measured[0].time_ms,
            "last_ms": self.measured[-1].time_ms,
            "since_ms": self.since_ms,
            "certain": self.certain,
            "told": [vars(one) for one in self.told],
            "would": [vars(one) for one in self.would],
            "alarms_told": alarms(self.told),
            "alarms_would": alarms(self.would),
            "explained": self.explained,
            "unexplained": [{**vars(one), "told": told} for one, told in self.unexplained],
            "kept_as_told": list(self.kept),
            "not_answered": list(self.dropped),
            "close_to_a_limit": dict(self.close),
            "missing": dict(self.missing),
            "by_records": self.by_records,
            "waveforms": [one.as_json() for one in self.remeasured],
            "waveforms_incomplete": self.incomplete,
            "lines_in_spectra": [vars(one) for one in self.stood],
            "spectra": self.spectra,
            "notes": list(self.notes),
        }


def alarms(changes: Sequence[Change]) -> int:
    """How many times a feature went to alarm."""
    return sum(one.level == _ALARM for one in changes)


def what_if(
    store: Store,
    name: str,
    changes: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    given: bool,
    release: Path | None = None,
    since_ms: int = 0,
) -> Answer:
    """config: the node's config.json as far as it is known. given: whether it is the node's own, whole.

    Raises StoreError, ReleaseError, and WhatIfError for what the store's data can't answer.
    """
    node_id = find_node(store, name)
    found = history(store, node_id)
    shown = [one for one in found.measured if one.time_ms >= since_ms]
    if not shown:
        raise WhatIfError(f"{name}: {store.name} has no measurement of it since then; give an earlier --since")
    notes = []
    base = _base(config, found)
    whole, incomplete = waveforms(store, node_id)
    whole = [one for one in whole if one.time_ms >= since_ms]
    with_speed = [one for one in spectra(store, node_id, since_ms) if one.marks_hz and one.marks_hz[0]]
    _check(name, changes, found, bool(whole), bool(with_speed))
    by_records = not any(path in _BY_WAVEFORM for path in changes)
    if not given:
        notes.append("the node's configuration is not given (--config): what is not known is as the firmware has it")
    with ExitStack() as stack:
        device = stack.enter_context(Device())
        own = replayed(device, name, found, base)
        control, teach = own.judged, own.teach
        if own.note:
            notes.append(own.note)
        for path in set(changes) & set(_BY_LEARNING) if not teach else ():
            raise WhatIfError(f"{path}: it bears on what {name} learned, and {own.note}")
        other = device if release is None else stack.enter_context(Device(release))
        changed = replay(other, name, found, base, changes, teach)
        again = remeasured(device, other, base, changes, whole, found.measured)
        lines = _BEARING in changes or release is not None
        stands = stood(device, other, base, changes, with_speed) if lines and with_speed else []
    left_out = aside(teach)
    told = [one for measured in shown for one in measured.told]
    by_control = [one for measured, (_, _, those) in zip(found.measured, control, strict=True) for one in those
                  if measured.time_ms >= since_ms]  # fmt: skip
    more, less = _differences(told, by_control)
    kept = [one for one in more if one.feature in left_out]
    unexplained = [(one, True) for one in more if one.feature not in left_out] + [(one, False) for one in less]
    would = [one for measured, (_, _, those) in zip(found.measured, changed, strict=True) for one in those
             if by_records and measured.time_ms >= since_ms]  # fmt: skip
    by_rule = any(path.startswith("alarm.") or path in _BY_LEARNING for path in changes) or release is not None
    by_rule = by_rule or not by_records
    by_rule = by_rule or [learned for _, learned, _ in changed] != [learned for _, learned, _ in control]
    left = tuple(sorted({one.feature for one in kept}))
    return Answer(
        node=name,
        firmware=_version(release),
        since_ms=since_ms,
        measured=shown,
        by_records=by_records,
        remeasured=tuple(again),
        incomplete=incomplete,
        stood=tuple(stands),
        spectra=found.spectra,
        told=tuple(told),
        would=tuple(sorted(would if by_rule else would + kept, key=lambda one: one.time_ms)),
        explained=len(told) - len(more),
        unexplained=tuple(sorted(unexplained, key=lambda one: one[0].time_ms)),
        kept=() if by_rule else left,
        dropped=left if by_rule else (),
        close=_close(shown, changes, base),
        missing=_missing(store, node_id),
        notes=tuple(notes),
    )


def _version(release: Path | None) -> str:
    if release is None:
        from quaver import __version__

        return f"quaver {__version__}"
    manifest = read_release(release).manifest
    return f"release {manifest.sequence}, quaver {manifest.version}"


def _base(config: Mapping[str, Any], found: History) -> dict[str, Any]:
    base = json.loads(json.dumps(config))
    if found.samples and isinstance(base.setdefault("vibration", {}), dict):
        base["vibration"].setdefault("samples", found.samples)
    return dict(base)


def _check(name: str, changes: Mapping[str, Any], found: History, waveform: bool, spectrum: bool) -> None:
    """waveform, spectrum: whether there is one to judge again."""
    for path in changes:
        section, _, key = path.partition(".")
        if section == "limits" and key in LIMITED:
            if key not in found.features:
                raise WhatIfError(f"{path}: no record of {name} has {LIMITED[key]}, so nothing can be said of it")
        elif section == "limits" or path in (*_ANSWERED, *_BY_LEARNING):
            continue  # what there is no such feature for, the device says
        elif path in _BY_WAVEFORM and (waveform or (path == _BEARING and spectrum)):
            continue
        elif path in _BY_WAVEFORM:
            raise WhatIfError(
                f"{path}: it changes what is measured, and the store has no waveform of {name} to measure again; "
                f"quaver node {name} waveform --alarm fetches one past an ingest"
            )
        elif path in _BY_SAMPLES or section in _BY_SAMPLES:
            raise WhatIfError(f"{path}: it changes what is measured, and a waveform does not tell how")
        elif path == "machine.classes":
            raise WhatIfError(f"{path}: too few records tell what a class is known by; it can't be answered")
        else:
            raise WhatIfError(f"{path}: no level depends on it; expected limits.*, alarm.* or machine.*")


def _differences(told: Sequence[Change], control: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Of the changes that the node told, those that its configuration does not give; and the other way round."""

    def key(change: Change) -> tuple[int, str, int]:
        return change.time_ms, change.feature, change.level

    left = Counter(map(key, control))
    more = []
    for one in told:
        if left[key(one)]:
            left[key(one)] -= 1
        else:
            more.append(one)
    less = []
    for one in control:
        if left[key(one)]:
            left[key(one)] -= 1
            less.append(one)
    return more, less


def _close(shown: Sequence[Measured], changes: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """Of each changed limit, values that a record's rounding may have put on its other side."""
    found = {}
    back = 1 - float(changes.get("alarm.hysteresis", (config.get("alarm") or {}).get("hysteresis", 0.1)))
    for path, pair in changes.items():
        section, _, feature = path.partition(".")
        if section != "limits" or pair is None or LIMITED[feature] not in _STEPS:
            continue
        key = LIMITED[feature]
        bounds = [limit * part for limit in pair for part in (1.0, back)]
        half = 0.5 / _STEPS[key]
        values = [one.values[key] for one in shown if one.values.get(key) is not None]
        if count := sum(any(abs(value - bound) <= half for bound in bounds) for value in values):
            found[feature] = count
    return found


def _missing(store: Store, node_id: str) -> dict[str, int]:
    accounts, _ = ledger(store)
    at = [node.id.hex() for node in store.nodes()].index(node_id)
    account = accounts[at]
    counts = {
        "dropped": account.dropped,
        "lost in RAM": account.lost_in_ram,
        "waiting": account.waiting,
        "unexplained": account.unexplained,
    }
    return {reason: count for reason, count in counts.items() if count}
