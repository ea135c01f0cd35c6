"""What was done to a plant, beside what its nodes said of it: from the store and the plant's file alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from quaver.plant.faults import Injected, injected, sags
from quaver.plant.said import Said, answers, said
from quaver.plant.spec import POWER_FAULTS, SENSOR_FAULTS, Plant
from quaver.plant.world import POWER, RADIO, fingerprint
from quaver.store.ledger import Account, ledger
from quaver.store.store import Store

_HEAP = """
SELECT topic, min(json_extract(body, '$.heap_free')) FROM dated WHERE class = 'telemetry' GROUP BY topic ORDER BY topic
"""
_AFTER_S = 600.0  # for which what a broken sensor has measured may alarm, after it is whole again


@dataclass(frozen=True)
class Detection:
    """A machine's fault: when wear began and when it was to fail, and when its nodes said so. None: never."""

    place: str
    fault: str
    begins: float
    fails: float
    alarmed: float | None
    named: str | None

    @property
    def delay(self) -> float | None:
        return None if self.alarmed is None else self.alarmed - self.begins


@dataclass(frozen=True)
class Outcome:
    """The whole of a run. answers: what the plant said of each that was injected.

    failed: each expectation of the plant's file that is not met, in a line.
    """

    plant: Plant
    injected: tuple[Injected, ...]
    answers: tuple[str, ...]
    detections: tuple[Detection, ...]
    false_alarms: tuple[Said, ...]
    said: tuple[Said, ...]
    accounts: tuple[Account, ...]
    restarts: dict[str, int]
    refused: dict[str, int]
    records: int
    radio: dict[str, dict[str, float]]  # of each station on Bluetooth; seconds and bytes, as in radio.path.Tally
    power: dict[str, float]  # what each node on a chip draws in the mean, mA
    heap: dict[str, int]  # the least that each was ever free, bytes
    silent: tuple[str, ...]
    fingerprint: str
    failed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "plant": self.plant.name,
            "seed": self.plant.seed,
            "duration_s": self.plant.duration,
            "records": self.records,
            "fingerprint": self.fingerprint,
            "injected": [{**vars(one), "said": said} for one, said in zip(self.injected, self.answers, strict=True)],
            "detections": [{**vars(one), "delay_s": one.delay} for one in self.detections],
            "false_alarms": [vars(one) for one in self.false_alarms],
            "unexplained": sum(account.unexplained for account in self.accounts),
            "restarts": self.restarts,
            "refused": self.refused,
            "radio": self.radio,
            "power_ma": self.power,
            "heap": self.heap,
            "silent": list(self.silent),
            "failed": list(self.failed),
        }


def judge(plant: Plant, store: Store) -> Outcome:
    """Raises StoreError."""
    nodes = plant.nodes()
    stations = [*(gateway.name for gateway in plant.gateway), *(node.name for node in nodes)]
    told = said(plant, store)
    done = tuple(injected(plant))
    accounts = tuple(ledger(store)[0])
    broken = [(one.node, one.at, one.at + one.lasts + _AFTER_S) for one in done if one.kind in SENSOR_FAULTS]
    alarms = [one for one in told if one.event == "alarm"]
    places = {node.name: node.place for node in nodes}
    detections, false = [], []
    for place, machine in plant.machines().items():
        here = [one for one in alarms if places.get(one.node) == place]
        begins = machine.wear.begins if machine.wear else plant.duration + 1
        for one in here:
            excused = any(node == one.node and start <= one.at <= end for node, start, end in broken)
            if one.at < begins and not excused:
                false.append(one)
        if machine.wear is not None and begins < plant.duration and any(p == place for p in places.values()):
            named = [o for o in told if o.event == "fault" and places.get(o.node) == place and o.at >= begins]
            first = min((one.at for one in here if one.at >= begins), default=None)
            name = named[0].subject if named else None
            detections.append(Detection(place, machine.wear.fault, begins, machine.wear.fails, first, name))
    restarts = Counter(one.node for one in told if one.event == "boot")
    cuts: Counter[str] = Counter()
    for fault in done:
        if fault.kind in (*POWER_FAULTS, "gateway_dies"):
            cuts[fault.node] += len(list(sags(plant, fault))) if fault.kind == "brownout" else 1
    extra = {name: count - 1 - cuts[name] for name, count in sorted(restarts.items()) if count - 1 > cuts[name]}
    refused: Counter[str] = Counter()
    for reason, count in store.query("SELECT reason, sum(count) FROM security_event GROUP BY reason"):
        refused[reason] += count
    heard = {account.topic.rpartition("/")[2] for account in accounts}
    outcome = Outcome(
        plant,
        done,
        tuple(answers(plant, store, done, told)),
        tuple(sorted(detections, key=lambda one: one.begins)),
        tuple(false),
        tuple(told),
        accounts,
        extra,
        dict(refused),
        int(store.query("SELECT count(*) FROM record")[0][0]),
        _beside(store, RADIO),
        _beside(store, POWER),
        {topic.rpartition("/")[2]: least for topic, least in store.query(_HEAP) if least is not None},
        tuple(name for name in stations if name not in heard),
        fingerprint(store),
        (),
    )
    return Outcome(**{**vars(outcome), "failed": tuple(failed(outcome))})


def _beside(store: Store, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(store.path.with_name(name).read_text())
    except (OSError, ValueError):  # of an older run, or one that was broken off
        return {}
    return found


def failed(outcome: Outcome) -> list[str]:
    """Each expectation of the plant's file that is not met, in a line."""
    expect, lines = outcome.plant.expect, []
    unexplained = sum(account.unexplained for account in outcome.accounts)
    if expect.unexplained is not None and unexplained > expect.unexplained:
        lines.append(f"{unexplained} records are missing without an explanation, expected at most {expect.unexplained}")
    if expect.false_alarms is not None and len(outcome.false_alarms) > expect.false_alarms:
        lines.append(f"{len(outcome.false_alarms)} false alarms, expected at most {expect.false_alarms}")
    due = [one for one in outcome.detections if one.fails <= outcome.plant.duration]
    missed = [one.place for one in due if one.alarmed is None]
    if expect.missed is not None and len(missed) > expect.missed:
        lines.append(f"no alarm for the fault of {', '.join(missed)}")
    if expect.detected_within is not None:
        late = [one for one in due if one.delay is not None and one.delay > expect.detected_within]
        lines += [
            f"{o.place}: alarm {o.delay:.0f} s after wear began, expected {expect.detected_within:.0f}" for o in late
        ]
    again = sum(outcome.restarts.values())
    if expect.restarts is not None and again > expect.restarts:
        lines.append(f"{again} restarts that nobody made, expected at most {expect.restarts}")
    lines += [f"{name}: nothing of it has arrived" for name in outcome.silent]
    return lines
