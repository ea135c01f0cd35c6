"""Energy: kWh by machine, shift and tariff, the peaks of 15 minutes, what is drawn at idle, and CO2.

All is read from the meter's counter, not from its power: what ran between two records is in it too. A counter that goes
back tells nothing of the time between the two records. Over a gap the counter tells how much, and not when: it counts
in the total, and where the whole gap lies in one shift and one tariff there; it is in no peak and in no idle time.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from quaver.reports.calendar import QUARTER_MS, Timeline
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
    Tally,
    note,
)
from quaver.reports.said import said_of
from quaver.reports.spec import Factor, Spec, factors

QUANTITIES = ("energy.energy_kwh", "energy.power_w")
PEAKS = 5
RESOLUTION_KWH = 0.01  # of the wire's counter and of the SDM120's display
_COARSE_MS = QUARTER_MS // 3  # records further apart make a peak of 15 minutes a matter of interpolation
_GAPS_SHOWN = 20
STOPPED = "stopped"


@dataclass
class _Sum:
    tally: Tally
    kwh: float = 0.0

    def add(self, kwh: float, *samples: Sample) -> None:
        self.kwh += kwh
        self.tally.add(*samples)

    @property
    def behind(self) -> tuple[Behind, ...]:
        return self.tally.behind()


@dataclass
class _Quarter(_Sum):
    covered_ms: int = 0

    @property
    def kw(self) -> float:
        return self.kwh * 3_600_000 / QUARTER_MS


@dataclass
class _Gap:
    """A step of which only the sum is known. kwh: None where the counter went back."""

    begin: Sample
    end: Sample
    kwh: float | None
    placed: bool


@dataclass
class _Machine:
    series: Series
    idle_w: float | None
    total: _Sum
    idle: _Sum
    groups: dict[tuple[str, str] | None, _Sum] = field(default_factory=dict)  # None: over gaps, nobody knows when
    years: dict[int, _Sum] = field(default_factory=dict)
    days: dict[int, float] = field(default_factory=lambda: defaultdict(float))  # by begin
    quarters: dict[int, _Quarter] = field(default_factory=dict)
    gaps: list[_Gap] = field(default_factory=list)
    has_state: bool = False
    unknown_idle: float = 0.0  # kWh of which nobody knows whether the machine was idle

    def sum_of(self, key: tuple[str, str] | None) -> _Sum:
        return self.groups.setdefault(key, _Sum(Tally(self.series.topic)))


def energy(series: Sequence[Series], spec: Spec, since_ms: int, until_ms: int) -> Report:
    """The report of the machines whose nodes have a meter; each series has QUANTITIES.

    A record before since_ms and one behind until_ms may be among the samples: the counter at these moments is then
    interpolated between two records, unless a gap is there.
    """
    zone = ZoneInfo(spec.zone)
    shifts = Timeline(spec.shift, zone, since_ms, until_ms)
    tariffs = Timeline(spec.tariff, zone, since_ms, until_ms)
    short = until_ms - since_ms <= 3 * 86_400_000
    found = []
    notes: list[Note] = []
    for one in series:
        meter = sorted((s for s in one.samples if s.values[0] is not None), key=lambda s: (s.boot, s.seq))
        if len(meter) < 2:
            notes.append(note("no_meter", node=one.name, count=len(meter)))
            continue
        known = spec.machine_of(one.topic)
        machine = _Machine(one, known.idle_w if known else None, _Sum(Tally(one.topic)), _Sum(Tally(one.topic)))
        _account(machine, meter, shifts, tariffs, zone, short, since_ms, until_ms)
        found.append(machine)
        notes += said_of(one) + _said(machine)
    figures, co2_notes = _figures(found, spec)
    return Report(
        kind="energy",
        nodes=tuple(one.topic for one in series),
        since_ms=since_ms,
        until_ms=until_ms,
        zone=spec.zone,
        figures=figures,
        tables=tuple(filter(None, (_by_group(found, spec), _peaks(found), _gaps(found)))),
        charts=tuple(_chart(one, short) for one in found),
        notes=(*notes, *co2_notes),
        definitions=(note("def_counter"), note("def_demand"), note("def_idle"), note("def_co2")),
    )


def _account(
    machine: _Machine,
    meter: Sequence[Sample],
    shifts: Timeline,
    tariffs: Timeline,
    zone: ZoneInfo,
    short: bool,
    since_ms: int,
    until_ms: int,
) -> None:
    gap_ms = machine.series.gap_ms
    places = _Places(shifts, tariffs, zone, short)
    machine.has_state = any(sample.machine for sample in meter)
    for a, b in itertools.pairwise(meter):
        before, after = a.values[0], b.values[0]
        assert before is not None and after is not None
        begin, end = max(a.time_ms, since_ms), min(b.time_ms, until_ms)
        if max(a.time_ms, b.time_ms) <= since_ms or min(a.time_ms, b.time_ms) >= until_ms:
            continue
        if after < before:
            machine.gaps.append(_Gap(a, b, None, False))
            continue
        kwh = after - before
        span = b.time_ms - a.time_ms
        if span <= 0 or (span > gap_ms and kwh):
            if (a.time_ms < since_ms or b.time_ms > until_ms) and span > 0:
                machine.gaps.append(_Gap(a, b, kwh, False))  # how much of it lies in the report nobody knows
                continue
            group, year, day = places.whole(a.time_ms, b.time_ms) if span > 0 else (None, None, None)
            machine.gaps.append(_Gap(a, b, kwh, group is not None))
            machine.total.add(kwh, a, b)
            machine.sum_of(group).add(kwh, a, b)
            machine.unknown_idle += kwh
            machine.years.setdefault(year or 0, _Sum(Tally(machine.series.topic))).add(kwh, a, b)
            if day is not None:
                machine.days[day] += kwh
            continue
        if span > gap_ms:
            machine.gaps.append(_Gap(a, b, 0.0, True))  # nothing ran: that it is known of all of the gap
        share = (end - begin) / span
        machine.total.add(kwh * share, a, b)
        for first, last, group, year, day in places.cut(begin, end):
            part = kwh * (last - first) / span
            machine.sum_of(group).add(part, a, b)
            machine.years.setdefault(year, _Sum(Tally(machine.series.topic))).add(part, a, b)
            machine.days[day] += part
        _demand(machine, a, b, kwh, begin, end)
        _idle(machine, a, b, kwh * share)


def _demand(machine: _Machine, a: Sample, b: Sample, kwh: float, begin: int, end: int) -> None:
    span = b.time_ms - a.time_ms
    while begin < end:
        quarter = begin // QUARTER_MS * QUARTER_MS
        stop = min(end, quarter + QUARTER_MS)
        held = machine.quarters.get(quarter)
        if held is None:
            held = machine.quarters[quarter] = _Quarter(Tally(machine.series.topic))
        held.add(kwh * (stop - begin) / span, a, b)
        held.covered_ms += stop - begin
        begin = stop


def _idle(machine: _Machine, a: Sample, b: Sample, kwh: float) -> None:
    """A record's state holds until the next one."""
    power = a.values[1]
    if a.machine == STOPPED or (machine.idle_w is not None and power is not None and power < machine.idle_w):
        machine.idle.add(kwh, a, b)
    elif not a.machine and (machine.idle_w is None or power is None):
        machine.unknown_idle += kwh


class _Places:
    """What a moment belongs to: (shift, tariff), year, and the day or hour of the chart, by the plant's clock."""

    def __init__(self, shifts: Timeline, tariffs: Timeline, zone: ZoneInfo, short: bool) -> None:
        self.shifts, self.tariffs, self.zone, self.short = shifts, tariffs, zone, short
        self._day = (0, 0, 0, 0)  # begin, end, year, begin of the bar

    def _bar(self, time_ms: int) -> tuple[int, int, int, int]:
        begin, end, *_ = self._day
        if not begin <= time_ms < end:
            local = datetime.fromtimestamp(time_ms / 1000, self.zone)
            if self.short:  # an hour of real time, whatever the clock does
                first = time_ms - (local.minute * 60 + local.second) * 1000 - local.microsecond // 1000
                self._day = (first, first + 3_600_000, local.year, first)
            else:
                midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
                first = round(midnight.timestamp() * 1000)
                self._day = (first, round((midnight + timedelta(days=1)).timestamp() * 1000), local.year, first)
        return self._day

    def cut(self, begin: int, end: int) -> Iterator[tuple[int, int, tuple[str, str], int, int]]:
        while begin < end:
            shift, shift_ends = self.shifts.at(begin)
            tariff, tariff_ends = self.tariffs.at(begin)
            _, bar_ends, year, bar = self._bar(begin)
            stop = min(end, bar_ends, *(at for at in (shift_ends, tariff_ends) if at > 0))
            yield begin, stop, (shift, tariff), year, bar
            begin = stop

    def whole(self, begin: int, end: int) -> tuple[tuple[str, str] | None, int | None, int | None]:
        """The same of a whole stretch, None each where it lies in several."""
        pieces = list(self.cut(begin, end))
        _, _, group, year, bar = pieces[0]
        return (
            group if all(piece[2] == group for piece in pieces) else None,
            year if all(piece[3] == year for piece in pieces) else None,
            bar if all(piece[4] == bar for piece in pieces) else None,
        )


def _figures(found: Sequence[_Machine], spec: Spec) -> tuple[tuple[Figure, ...], list[Note]]:
    figures: list[Figure] = []
    notes: dict[str, Note] = {}
    for machine in found:
        subject = machine.series.topic
        figures.append(Figure("energy", machine.total.kwh, "kW.h", machine.total.behind, subject=subject))
        best = max(_whole_quarters(machine).values(), key=lambda quarter: quarter.kw, default=None)
        figures.append(
            Figure("peak", best.kw, "kW", best.behind, subject=subject)
            if best
            else Figure("peak", None, "kW", why=note("no_quarter"), subject=subject)
        )
        if not machine.has_state and machine.idle_w is None:
            figures.append(Figure("idle", None, "kW.h", why=note("idle_unknown"), subject=subject))
        else:
            figures.append(Figure("idle", machine.idle.kwh, "kW.h", machine.idle.behind, subject=subject))
        grams, behind, why = _co2(machine, spec, notes)
        figures.append(Figure("co2", None if grams is None else grams / 1000, "kg", behind, why, subject=subject))
        if (cost := _cost(machine, spec)) is not None:
            figures.append(Figure("cost", cost, spec.currency, machine.total.behind, subject=subject))
    return tuple(figures), list(notes.values())


def _co2(machine: _Machine, spec: Spec, notes: dict[str, Note]) -> tuple[float | None, tuple[Behind, ...], Note | None]:
    if spec.co2 is None:
        return None, (), note("co2_unknown")
    grams = 0.0
    for year, part in sorted(machine.years.items()):
        if spec.co2.g_per_kwh is not None:
            grams += part.kwh * spec.co2.g_per_kwh
            own = {"value": spec.co2.g_per_kwh, "source": spec.co2.source, "year": spec.co2.year}
            notes["own"] = note("co2_own", **own)
            continue
        factor = factor_of(spec.co2.country, year)
        grams += part.kwh * factor.g_per_kwh
        given = {"value": factor.g_per_kwh, "gas": factor.gas, "state": factor.state, "source": factor.source}
        given |= {"country": factor.country, "of_year": factor.year}
        key = "co2_table" if factor.year == year else "co2_other_year" if year else "co2_no_year"
        notes[f"{year}"] = note(key, year=year, **given)
    return grams, machine.total.behind, None


def factor_of(country: str, year: int) -> Factor:
    """The table's factor of a year; of the nearest one before it where it has none, of the first where none is."""
    rows = [row for row in factors() if row.country == country]
    before = [row for row in rows if row.year <= year] if year else rows
    return before[-1] if before else rows[0]


def _cost(machine: _Machine, spec: Spec) -> float | None:
    """None where a kWh has no price, or nobody knows which."""
    prices = {tariff.name: tariff.price for tariff in spec.tariff}
    total = 0.0
    for key, part in machine.groups.items():
        price = prices.get(key[1]) if key else None
        if price is None:
            return None
        total += part.kwh * price
    return total


def _by_group(found: Sequence[_Machine], spec: Spec) -> Table:
    prices = {tariff.name: tariff.price for tariff in spec.tariff}
    rows = []
    for machine in found:
        for key, part in sorted(machine.groups.items(), key=lambda item: (item[0] is None, item[0] or ("", ""))):
            shift = note("not_known_when") if key is None else key[0] or note("outside")
            tariff = note("not_known_when") if key is None else key[1] or note("outside")
            price = prices.get(key[1]) if key else None
            cost = None if price is None else part.kwh * price
            rows.append(Row((machine.series.topic, shift, tariff, part.kwh, cost), part.behind))
    columns = (Column("machine", kind="text"), Column("shift", kind="text"), Column("tariff", kind="text"))
    return Table("by_group", (*columns, Column("energy", "kW.h"), Column("cost", spec.currency)), tuple(rows))


def _whole_quarters(machine: _Machine) -> dict[int, _Quarter]:
    return {begin: one for begin, one in machine.quarters.items() if one.covered_ms >= QUARTER_MS}


def _peaks(found: Sequence[_Machine]) -> Table:
    rows = []
    whole = [_whole_quarters(machine) for machine in found]
    for machine, quarters in zip(found, whole, strict=True):
        best = sorted(quarters.items(), key=lambda item: (-item[1].kw, item[0]))[:PEAKS]
        rows += [Row((machine.series.topic, begin, one.kw), one.behind) for begin, one in best]
    if len(found) > 1:
        shared = set.intersection(*(set(quarters) for quarters in whole))
        sums = sorted(((sum(q[begin].kw for q in whole), begin) for begin in shared), key=lambda s: (-s[0], s[1]))
        for kw, begin in sums[:PEAKS]:
            behind = tuple(one for quarters in whole for one in quarters[begin].behind)
            rows.append(Row((note("together"), begin, kw), behind))
    return Table("peaks", (Column("machine", kind="text"), Column("begins", kind="time"), Column("peak", "kW")),
                 tuple(rows))  # fmt: skip


def _gaps(found: Sequence[_Machine]) -> Table | None:
    rows = []
    for machine in found:
        for gap in sorted(machine.gaps, key=lambda gap: gap.begin.time_ms - gap.end.time_ms)[:_GAPS_SHOWN]:
            tally = Tally(machine.series.topic)
            tally.add(gap.begin, gap.end)
            kwh: float | Note = note("went_back") if gap.kwh is None else gap.kwh
            length = (gap.end.time_ms - gap.begin.time_ms) / 1000
            rows.append(Row((machine.series.topic, gap.begin.time_ms, gap.end.time_ms, length, kwh), tally.behind()))
    columns = (Column("machine", kind="text"), Column("begins", kind="time"), Column("ends", kind="time"))
    more = (Column("length", "s", "seconds"), Column("energy", "kW.h"))
    return Table("gaps", columns + more, tuple(rows)) if rows else None


def _said(machine: _Machine) -> list[Note]:
    node, found = machine.series.name, []
    backs = [gap for gap in machine.gaps if gap.kwh is None]
    if backs:
        found.append(note("counter_back", node=node, count=len(backs)))
    loose = sum(gap.kwh or 0.0 for gap in machine.gaps if not gap.placed)
    if loose:
        found.append(note("loose", node=node, kwh=loose))
    broken = sum(one.covered_ms < QUARTER_MS for one in machine.quarters.values())
    if broken:
        found.append(note("broken_quarters", node=node, count=broken))
    if machine.series.interval_ms > _COARSE_MS:
        found.append(note("coarse_quarters", node=node, minutes=machine.series.interval_ms / 60_000))
    if machine.has_state and machine.idle_w is None:
        found.append(note("no_idle_w", node=node))
    if machine.unknown_idle and (machine.has_state or machine.idle_w is not None):
        found.append(note("idle_partly", node=node, kwh=machine.unknown_idle))
    return found


def _chart(machine: _Machine, short: bool) -> Chart:
    days = sorted(machine.days.items())
    line = Line("energy", [begin for begin, _ in days], [kwh for _, kwh in days], "bars")
    return Chart("by_hour" if short else "by_day", "kW.h", (line,), subject=machine.series.topic)
