"""What a report is made of: figures, tables and charts, each with the records behind it, before they are put in words.

Nothing here has a language: keys are put into words by `words.py`, when a report becomes JSON, CSV or PDF.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Sample(NamedTuple):
    """One measurement. machine: stopped, learning or watching, "" where the node does not say.

    level: ok, warning, alarm. fit: neither clipped nor incomplete. values: of the quantities that were asked for, in
    their order, None where the record has none. dated_by: node, offset or receipt.
    """

    time_ms: int
    boot: int
    seq: int
    machine: str
    level: str
    fit: bool
    dated_by: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """The measurements of a node in the order of time. interval_ms: the usual one between two of them, 0 for none.

    removed: records of that time that a policy has deleted.
    """

    topic: str
    samples: Sequence[Sample]
    interval_ms: int = 0
    removed: int = 0

    @property
    def name(self) -> str:
        return self.topic.rpartition("/")[2]

    @property
    def gap_ms(self) -> int:
        """What lies further apart than this has a gap between: three intervals, after which a node counts as gone."""
        return 3 * self.interval_ms


class Behind(NamedTuple):
    """The records behind a figure: of a node, from the first to the last, each (boot, seq), and how many of them."""

    node: str
    first: tuple[int, int]
    last: tuple[int, int]
    records: int


class Tally:
    """Counts the records of one node that a figure is made of; the same one twice in turn counts once."""

    def __init__(self, node: str) -> None:
        self.node = node
        self._first: Sample | None = None
        self._last: Sample | None = None
        self._count = 0

    def add(self, *samples: Sample) -> None:
        for sample in samples:
            if self._last is not None and sample[1:3] == self._last[1:3]:
                continue
            if self._first is None:
                self._first = sample
            self._last = sample
            self._count += 1

    def behind(self) -> tuple[Behind, ...]:
        if self._first is None or self._last is None:
            return ()
        return (Behind(self.node, self._first[1:3], self._last[1:3], self._count),)


def behind(node: str, samples: Iterable[Sample]) -> tuple[Behind, ...]:
    """The records behind what was made of all of `samples`."""
    tally = Tally(node)
    tally.add(*samples)
    return tally.behind()


@dataclass(frozen=True)
class Note:
    """A sentence: its key in the languages' files, and what stands in its gaps."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


def note(key: str, **values: object) -> Note:
    return Note(key, values)


Cell = float | int | str | Note | None


@dataclass(frozen=True)
class Figure:
    """One number, or none and `why`. unit: UCUM. low, high: its interval, where it has one; without a high it has
    no end.
    """

    key: str
    value: float | int | None
    unit: str
    behind: tuple[Behind, ...] = ()
    why: Note | None = None
    low: float | None = None
    high: float | None = None
    subject: str = ""  # the machine, where a report is of several


class Column(NamedTuple):
    """kind: text, number, time (ms since 1970), or seconds (a duration)."""

    key: str
    unit: str = ""
    kind: str = "number"
    digits: int = 2


class Row(NamedTuple):
    cells: tuple[Cell, ...]
    behind: tuple[Behind, ...] = ()


@dataclass(frozen=True)
class Table:
    key: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


class Line(NamedTuple):
    """kind: line, points, bars (each from its time on), band (two values a time: low and high)."""

    key: str
    times_ms: Sequence[int]
    values: Sequence[float | None]
    kind: str = "line"
    high: Sequence[float] = ()

    def thinned(self, most: int) -> tuple[list[int], list[float | None]]:
        """Times and values, of `most` points at most: of stretches of equal counts the lowest and the highest."""
        times, values = list(self.times_ms), list(self.values)
        if len(times) <= most:
            return times, values
        each = -(-len(times) // (most // 2))
        kept: list[int] = []
        for begin in range(0, len(times), each):
            known = [
                (value, i) for i in range(begin, min(begin + each, len(times))) if (value := values[i]) is not None
            ]
            kept += sorted({min(known)[1], max(known)[1]}) if known else []
        return [times[i] for i in kept], [values[i] for i in kept]


class Limit(NamedTuple):
    key: str
    value: float


@dataclass(frozen=True)
class Chart:
    """Lines over time. subject: the machine. unit: UCUM."""

    key: str
    unit: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    subject: str = ""


@dataclass(frozen=True)
class Report:
    """notes: what is to be known of the figures, gaps first; definitions: what the figures are, with their sources."""

    kind: str
    nodes: tuple[str, ...]
    since_ms: int
    until_ms: int
    zone: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    notes: tuple[Note, ...]
    definitions: tuple[Note, ...]
    about: Mapping[str, str] = field(default_factory=dict)  # what else the report is of: its quantity
