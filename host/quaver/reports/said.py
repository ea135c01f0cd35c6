"""What is to be said of any series before it is reported on: gaps, records that a policy deleted, uncertain dates."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from quaver.reports.model import Note, Sample, Series, note

RUNNING = ("learning", "watching")


def gaps_of(series: Series, samples: Sequence[Sample] | None = None) -> list[tuple[Sample, Sample]]:
    """The records on both sides of each gap, in the order of time."""
    samples = series.samples if samples is None else samples
    return [(a, b) for a, b in itertools.pairwise(samples) if b.time_ms - a.time_ms > series.gap_ms > 0]


def said_of(series: Series) -> list[Note]:
    found = []
    gaps = gaps_of(series)
    if gaps:
        hours = sum(b.time_ms - a.time_ms for a, b in gaps) / 3_600_000
        minutes = series.gap_ms / 60_000
        found.append(note("gaps", node=series.name, count=len(gaps), hours=hours, minutes=minutes))
    if series.removed:
        found.append(note("removed", node=series.name, count=series.removed))
    by_receipt = _count(sample.dated_by == "receipt" for sample in series.samples)
    if by_receipt:
        found.append(note("by_receipt", node=series.name, count=by_receipt))
    return found


def _count(found: Iterable[bool]) -> int:
    return sum(found)
