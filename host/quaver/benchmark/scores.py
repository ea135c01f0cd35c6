"""The second step: what was said, held against what is wrong with each machine."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quaver.benchmark.run import Result

HEALTHY, FAILS = "healthy", "runs to failure"
EARLY = 0.15  # of a life: an alarm before is a false one
_LINES = {"outer race": "bpfo", "inner race": "bpfi", "ball": "bsf2", "cage": "ftf"}


@dataclass
class Score:
    """Counts of the recordings with one truth.

    recordings: all that the catalogue has; measured of them. alarmed: at alarm at least once. line_first: the right
    line is the highest. Each measured recording is one of these: hits: alarmed, the right fault named and no other; of
    a healthy machine, no alarm and no name; of a life, an alarm before its end and none early. abstentions: alarmed,
    none named. wrong: another fault named. misses: a fault, or a life, without an alarm; a healthy machine with one.
    early: a life with an alarm in its first 15 %.
    """

    truth: str
    recordings: int = 0
    measured: int = 0
    alarmed: int = 0
    line_first: int = 0
    hits: int = 0
    abstentions: int = 0
    wrong: int = 0
    misses: int = 0
    early: int = 0

    def add(self, result: Result) -> None:
        """Count one recording in."""
        self.recordings += 1
        if result.missing:
            return
        self.measured += 1
        alarmed, named = bool(result.alarms), set(result.named)
        self.alarmed += alarmed
        if self.truth == FAILS:
            early = any(index < EARLY * result.measurements for index in result.alarms)
            self.early += early
            self.hits += alarmed and not early
            self.misses += not alarmed
            return
        healthy = self.truth == HEALTHY
        self.line_first += result.line is not None and result.line == _LINES.get(self.truth)
        if named - {self.truth}:
            self.wrong += 1
        elif alarmed == healthy:
            self.misses += 1
        elif healthy or named:
            self.hits += 1
        else:
            self.abstentions += 1


def truths(group: str) -> dict[str, str]:
    """What is wrong in each recording of a group: record -> "healthy", a fault, or "runs to failure"."""
    labels = tomllib.loads(Path(__file__).with_name("labels.toml").read_text())
    found: dict[str, str] = labels[group]
    return found


def score(results: Iterable[Result], truth: Mapping[str, str]) -> list[Score]:
    """Counts by truth, in the order in which they first come. Raises KeyError for a recording without a label."""
    counts: dict[str, Score] = {}
    for result in results:
        label = truth[result.name]
        counts.setdefault(label, Score(label)).add(result)
    return list(counts.values())
