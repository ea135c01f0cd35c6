"""The blind run: what the device's code says of each recording of a group. It reads no label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from quaver.analysis.device import Analysis, Settings, Verdict, analyze, prepare
from quaver.benchmark.catalogue import Group, Place

_WORKERS = 2  # each a unix port in a process of its own


@dataclass(frozen=True)
class Result:
    """What was said of one recording.

    missing: why it was not measured, "" if it was. measurements: how many were judged. alarms: their indices of those
    at alarm. line: the highest in the median measurement, None where none stands out. named: fault -> measurements
    that named it. abstained: reason -> measurements.
    """

    name: str
    missing: str = ""
    measurements: int = 0
    warnings: int = 0
    alarms: list[int] = field(default_factory=list)
    line: str | None = None
    named: dict[str, int] = field(default_factory=dict)
    abstained: dict[str, int] = field(default_factory=dict)


def run_group(group: Group, told: Callable[[Result], None] = lambda result: None) -> list[Result]:
    """The group's results in order; `told` hears each as it comes. Without its teachers nothing of it is measured."""
    places = [group.place(record) for record in group.records]
    teachers = [group.place(record) for record in group.teach]
    absent = [place for place in teachers if place.path is None]
    if absent:
        why = f"no baseline: {absent[0].name} is {absent[0].missing}"
        places = [Place(place.name, None, place.missing or why) for place in places]
    taught = _taught(group, teachers) if teachers and not absent else None

    def one(place: Place) -> Result:
        result = Result(place.name, place.missing) if place.path is None else _measured(group, place, taught)
        told(result)
        return result

    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            return list(pool.map(one, places))
        except BaseException:  # Ctrl-C: not after all that waits
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True)
class _Taught:
    rate_hz: float
    samples: int
    baseline: dict[str, Any]


def _settings(group: Group, place: Place, rpm: float | None, learn: int) -> Settings:
    return Settings(rpm=group.rpm or place.rpm or rpm, bearing=group.bearing, learn=learn)


def _taught(group: Group, teachers: list[Place]) -> _Taught:
    recordings = [group.load(place) for place in teachers]
    prepared = [prepare(recording, group.bring_to) for recording in recordings]
    rate, samples, _ = prepared[0]
    learn = sum(len(blocks) for _, _, blocks in prepared)
    settings = _settings(group, teachers[0], recordings[0].rpm, learn)
    with Analysis(settings, rate, samples=samples) as analysis:
        for recording in recordings:
            for _ in analyze(recording, analysis):
                pass
        return _Taught(rate, samples, analysis.baseline())


def _measured(group: Group, place: Place, taught: _Taught | None) -> Result:
    recording = group.load(place)
    settings = _settings(group, place, recording.rpm, group.learn or 2)
    if taught is None:
        rate, samples, _ = prepare(recording, group.bring_to)
        with Analysis(settings, rate, samples=samples) as analysis:
            return summary(place.name, analyze(recording, analysis))
    with Analysis(settings, taught.rate_hz, samples=taught.samples, baseline=taught.baseline) as analysis:
        return summary(place.name, analyze(recording, analysis))


def summary(name: str, verdicts: Iterable[Verdict]) -> Result:
    """A recording's verdicts in short."""
    said = list(verdicts)
    middle = sorted(said, key=_height)[len(said) // 2] if said else None
    line = max(middle.lines, key=_score, default=None) if middle else None
    return Result(
        name,
        measurements=len(said),
        warnings=sum(verdict.level == "warning" for verdict in said),
        alarms=[verdict.index for verdict in said if verdict.level == "alarm"],
        line=line["name"] if line and line["score"] > 0 else None,
        named=dict(Counter(verdict.fault for verdict in said if verdict.fault)),
        abstained=dict(Counter(verdict.abstained for verdict in said if verdict.abstained)),
    )


def _score(line: dict[str, Any]) -> float:
    return float(line["score"])


def _height(verdict: Verdict) -> float:
    return max(map(_score, verdict.lines), default=0.0)
