"""Availability, MTBF and MTTR of machines, by what their nodes say of running and of alarms; OEE where pieces count.

The terms are those of IEC 60050-192: failure (192-03-01), availability (192-01-23), mean operating time between
failures (192-05-13), mean time to restoration (192-07-23). A node sees a machine run or stand, and an alarm; it does
not see why a machine stands. So a stop counts as a failure where an alarm stood when the machine stopped, and any other
stop is told apart: it may have been planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from quaver.reports.calendar import Timeline
from quaver.reports.counter import Pieces, read_pieces
from quaver.reports.model import (
    Behind,
    Chart,
    Column,
    Figure,
    Line,
    Note,
    Report,
    Row,
    Sample,
    Series,
    Table,
    behind,
    note,
)
from quaver.reports.said import RUNNING, said_of
from quaver.reports.spec import Spec

QUANTITIES = ()
CONFIDENCE = 0.9  # of the interval of the MTBF
_SHOWN = 50
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Stretch:
    """Records of one state in turn: running, failed, stopped (without an alarm), or unknown. samples: those in it."""

    state: str
    begin_ms: int
    end_ms: int
    samples: tuple[Sample, ...]
    open: bool = False  # it goes on behind the report's end

    @property
    def ms(self) -> int:
        return self.end_ms - self.begin_ms


def stretches(series: Series, since_ms: int, until_ms: int, planned: Timeline | None = None) -> list[Stretch]:
    """What the machine did, in the order of time, without a hole: what no record tells is unknown.

    A record's state holds until the next one, unless a gap lies between: then it is unknown until that. planned: the
    shifts; a stop that begins outside of them is no failure.
    """
    known = [one for one in series.samples if one.machine and since_ms <= one.time_ms < until_ms]
    found: list[Stretch] = []
    at, state, samples = since_ms, "unknown", list[Sample]()

    def ends(time_ms: int, next_state: str) -> None:
        nonlocal at, state, samples
        if time_ms > at:
            found.append(Stretch(state, at, time_ms, tuple(samples)))
        at, state, samples = max(at, time_ms), next_state, []

    alarmed = False  # at the last record at which it ran
    before: Sample | None = None
    for one in known:
        if before is not None and one.time_ms - before.time_ms > series.gap_ms > 0:
            ends(before.time_ms + series.interval_ms, "unknown")
            alarmed = False
        running = one.machine in RUNNING
        if running:
            now = "running"
            alarmed = one.level == "alarm"
        else:
            unplanned = planned is None or planned.at(one.time_ms)[0]
            now = state if state in ("failed", "stopped") else "failed" if alarmed and unplanned else "stopped"
        if now != state:
            ends(one.time_ms, now)
        samples.append(one)
        before = one
    if before is not None:
        told_until = min(until_ms, before.time_ms + max(series.interval_ms, 1))
        still = until_ms - before.time_ms <= max(series.gap_ms, 1)
        last_state = state
        ends(until_ms if still else told_until, "unknown")
        if still and found and last_state != "unknown":
            found[-1] = Stretch(last_state, found[-1].begin_ms, found[-1].end_ms, found[-1].samples, True)
    ends(until_ms, "unknown")
    return found


@dataclass(frozen=True)
class Reliability:
    """Of one machine, times in ms. restored: the failures whose end was seen; mtbf: (estimate, low, high) in hours."""

    operating_ms: int
    stopped_ms: int
    failed_ms: int
    unknown_ms: int
    failures: int
    restored: tuple[Stretch, ...]
    stops: int

    @property
    def availability(self) -> float | None:
        """Up time over up and down time; a machine that stands without a failure is up."""
        up, known = self.operating_ms + self.stopped_ms, self.operating_ms + self.stopped_ms + self.failed_ms
        return up / known if known else None

    @property
    def mtbf_h(self) -> tuple[float | None, float | None, float | None]:
        """Operating time over failures, and its interval for a constant rate of failures, observed for a time.

        IEC 60605-4: 2 T / chi2(1 - a/2; 2r + 2) to 2 T / chi2(a/2; 2r), T the operating time, r the failures. Without a
        failure there is no estimate, and a lower bound alone: 2 T / chi2(1 - a; 2).
        """
        hours = self.operating_ms / _HOUR_MS
        if not hours:
            return None, None, None
        from scipy.special import chdtri  # here, for it takes a page half as long again to start

        tail = (1 - CONFIDENCE) / 2
        if not self.failures:
            return None, 2 * hours / float(chdtri(2, 1 - CONFIDENCE)), None
        low = 2 * hours / float(chdtri(2 * self.failures + 2, tail))
        return hours / self.failures, low, 2 * hours / float(chdtri(2 * self.failures, 1 - tail))

    @property
    def mttr_h(self) -> float | None:
        """The mean of the times to restoration, of those failures that were restored."""
        lengths = [one.ms / _HOUR_MS for one in self.restored]
        return sum(lengths) / len(lengths) if lengths else None


def reliability(found: Sequence[Stretch]) -> Reliability:
    def total(state: str) -> int:
        return sum(one.ms for one in found if one.state == state)

    failed = [(i, one) for i, one in enumerate(found) if one.state == "failed"]
    restored = tuple(one for i, one in failed if i + 1 < len(found) and found[i + 1].state == "running")
    return Reliability(
        operating_ms=total("running"),
        stopped_ms=total("stopped"),
        failed_ms=total("failed"),
        unknown_ms=total("unknown"),
        failures=len(failed),
        restored=restored,
        stops=sum(one.state == "stopped" and i > 0 and found[i - 1].state == "running" for i, one in enumerate(found)),
    )


def availability(series: Sequence[Series], spec: Spec, since_ms: int, until_ms: int) -> Report:
    """The report of the machines whose nodes say whether they run."""
    figures: list[Figure] = []
    notes: list[Note] = []
    rows, stop_rows, charts = [], [], []
    planned = Timeline(spec.shift, ZoneInfo(spec.zone), since_ms, until_ms) if spec.shift else None
    for one in series:
        if not any(sample.machine for sample in one.samples):
            notes.append(note("no_state", node=one.name))
            continue
        found = stretches(one, since_ms, until_ms, planned)
        sums = reliability(found)
        all_behind = behind(one.topic, (sample for stretch in found for sample in stretch.samples))
        rows.append(_row(one, sums, all_behind))
        figures += _figures(one, sums, found, all_behind)
        figures += _oee(one, found, spec, since_ms, until_ms, notes)
        stop_rows += _stops(one, found)
        charts.append(_chart(one, found))
        notes += [*said_of(one), *_said(one, sums, since_ms, until_ms)]
    tables = [Table("machines", _COLUMNS, tuple(rows)), Table("stops", _STOP_COLUMNS, tuple(stop_rows[:_SHOWN]))]
    return Report(
        kind="availability",
        nodes=tuple(one.topic for one in series),
        since_ms=since_ms,
        until_ms=until_ms,
        zone=spec.zone,
        figures=tuple(figures),
        tables=tuple(table for table in tables if table.rows),
        charts=tuple(charts),
        notes=tuple(notes),
        definitions=tuple(note(key) for key in ("def_failure", "def_availability", "def_mtbf", "def_mttr", "def_oee")),
    )


_COLUMNS = (
    Column("machine", kind="text"),
    Column("availability", "%"),
    Column("operating", "h", digits=1),
    Column("standing", "h", digits=1),
    Column("down", "h", digits=1),
    Column("untold", "h", digits=1),
    Column("failures", digits=0),
    Column("mtbf", "h", digits=1),
    Column("mtbf_low", "h", digits=1),
    Column("mtbf_high", "h", digits=1),
    Column("mttr", "h"),
)
_STOP_COLUMNS = (
    Column("machine", kind="text"),
    Column("begins", kind="time"),
    Column("ends", kind="time"),
    Column("length", "s", "seconds"),
    Column("what", kind="text"),
)


def _row(one: Series, sums: Reliability, of_all: tuple[Behind, ...]) -> Row:
    share = sums.availability
    mtbf, low, high = sums.mtbf_h
    times = (sums.operating_ms, sums.stopped_ms, sums.failed_ms, sums.unknown_ms)
    return Row(
        (
            one.topic,
            None if share is None else 100 * share,
            *(time / _HOUR_MS for time in times),
            sums.failures,
            mtbf,
            low,
            high,
            sums.mttr_h,
        ),
        of_all,
    )


def _figures(one: Series, sums: Reliability, found: Sequence[Stretch], of_all: tuple[Behind, ...]) -> list[Figure]:
    share, (mtbf, low, high) = sums.availability, sums.mtbf_h
    failed = behind(one.topic, (sample for stretch in found if stretch.state == "failed" for sample in stretch.samples))
    subject = one.topic
    return [
        Figure("availability", None if share is None else 100 * share, "%", of_all,
               note("no_known_time") if share is None else None, subject=subject),
        Figure("mtbf", mtbf, "h", of_all, note("no_failure") if mtbf is None else None, low, high, subject),
        Figure("mttr", sums.mttr_h, "h", failed, note("none_restored") if sums.mttr_h is None else None,
               subject=subject),
    ]  # fmt: skip


def _oee(
    one: Series, found: Sequence[Stretch], spec: Spec, since_ms: int, until_ms: int, notes: list[Note]
) -> list[Figure]:
    """ISO 22400-2: the OEE index is availability x effectiveness x quality ratio, in the time that was planned.

    It is of the time between the first and the last row of the counter's file.
    """
    machine = spec.machine_of(one.topic)
    if machine is None or machine.counter is None:
        return [Figure("oee", None, "%", why=note("no_counter"), subject=one.topic)]
    if not spec.shift:
        return [Figure("oee", None, "%", why=note("no_shifts"), subject=one.topic)]
    pieces = read_pieces(machine.counter.file, since_ms, until_ms)
    producing, planned, unknown, samples = _in_shifts(found, spec, pieces)
    if pieces.total <= 0 or not producing or unknown:
        why = note("oee_untold", hours=unknown / _HOUR_MS) if unknown else note("oee_nothing")
        return [Figure("oee", None, "%", why=why, subject=one.topic)]
    effectiveness = pieces.total / (machine.counter.ideal_per_h * producing / _HOUR_MS)
    parts = {"availability": producing / planned, "effectiveness": effectiveness, "quality": pieces.good / pieces.total}
    notes.append(note("oee_parts", node=one.name, rows=pieces.rows, first_ms=pieces.first_ms, last_ms=pieces.last_ms,
                      **{name: 100 * part for name, part in parts.items()}))  # fmt: skip
    if effectiveness > 1:
        notes.append(note("oee_ideal", node=one.name, ideal=machine.counter.ideal_per_h))
    oee = 100 * parts["availability"] * effectiveness * parts["quality"]
    return [Figure("oee", oee, "%", behind(one.topic, samples), subject=one.topic)]


def _in_shifts(found: Sequence[Stretch], spec: Spec, pieces: Pieces) -> tuple[int, int, int, list[Sample]]:
    """(running, planned, unknown, ms in shifts between the first and the last row of pieces, and the records of it)."""
    shifts = Timeline(spec.shift, ZoneInfo(spec.zone), pieces.first_ms, pieces.last_ms)
    sums = dict.fromkeys(("running", "failed", "stopped", "unknown"), 0)
    samples: list[Sample] = []
    for stretch in found:
        first, last = max(stretch.begin_ms, pieces.first_ms), min(stretch.end_ms, pieces.last_ms)
        samples += [one for one in stretch.samples if first <= one.time_ms < last]
        for begin, end, name in shifts.pieces(first, last):
            sums[stretch.state] += end - begin if name else 0
    return sums["running"], sum(sums.values()), sums["unknown"], samples


def _stops(one: Series, found: Sequence[Stretch]) -> list[Row]:
    rows = []
    for stretch in found:
        if stretch.state in ("failed", "stopped"):
            ends = None if stretch.open else stretch.end_ms
            cells = (one.topic, stretch.begin_ms, ends, stretch.ms / 1000, note(stretch.state))
            rows.append(Row(cells, behind(one.topic, stretch.samples)))
    return rows


def _said(one: Series, sums: Reliability, since_ms: int, until_ms: int) -> list[Note]:
    notes = []
    if sums.unknown_ms > 2 * one.interval_ms:  # more than what is before the first record and behind the last
        share = 100 * sums.unknown_ms / max(until_ms - since_ms, 1)
        notes.append(note("untold", node=one.name, hours=sums.unknown_ms / _HOUR_MS, share=share))
    if sums.failures > len(sums.restored):
        notes.append(note("not_restored", node=one.name, count=sums.failures - len(sums.restored)))
    if sums.stops:
        notes.append(note("other_stops", node=one.name, count=sums.stops, hours=sums.stopped_ms / _HOUR_MS))
    if 0 < sums.failures < 5:
        notes.append(note("few_failures", node=one.name, count=sums.failures))
    return notes


_HEIGHTS: dict[str, float | None] = {"running": 2.0, "stopped": 1.0, "failed": 0.0, "unknown": None}


def _chart(one: Series, found: Sequence[Stretch]) -> Chart:
    times = [time for stretch in found for time in (stretch.begin_ms, stretch.end_ms)]
    heights = [_HEIGHTS[stretch.state] for stretch in found for _ in range(2)]
    return Chart("states", "", (Line("state", times, heights, "states"),), subject=one.topic)
