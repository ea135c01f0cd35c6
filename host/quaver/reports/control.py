"""Statistical process control of a feature: charts of individuals, EWMA, Nelson's rules, and capability.

Individuals and moving range: NIST/SEMATECH e-Handbook 6.3.2.2, ISO 7870-2, Montgomery 6.4. EWMA: e-Handbook 6.3.2.4,
ISO 7870-6, Montgomery 9.2. Rules: Nelson, Journal of Quality Technology 16 (1984). Capability: ISO 22514-2, e-Handbook
6.1.6. All of them take measurements to be independent of each other and of one normal distribution. Those of a machine
often are not, and then a chart alarms too often: so the autocorrelation stands beside them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quaver.messages.quantities import QUANTITIES as KNOWN
from quaver.reports.model import (
    Chart,
    Column,
    Figure,
    Limit,
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
from quaver.reports.said import gaps_of, said_of
from quaver.reports.spec import Limits, Spec

D2 = 1.128  # of two values: their mean range over their standard deviation (Montgomery, appendix VI)
D4 = 3.267  # of two values: the upper limit of the range over the mean range
LAMBDA = 0.2
WIDTH = 3.0  # L: the limits of the EWMA, in its standard deviations
LEAST = 20  # measurements, below which limits say little (Montgomery 6.4 asks for 20 to 25)
_SHOWN = 200
STOPPED = "stopped"


@dataclass(frozen=True)
class Individuals:
    """mean, sigma by the moving range, and the limits of both charts. ranges: from the second value on.

    A range over a gap is None: neighbours are not far apart.
    """

    mean: float
    mean_range: float
    ranges: tuple[float | None, ...]

    @property
    def sigma(self) -> float:
        return self.mean_range / D2

    @property
    def limits(self) -> tuple[float, float]:
        return self.mean - 3 * self.sigma, self.mean + 3 * self.sigma

    @property
    def range_limit(self) -> float:
        return D4 * self.mean_range


def individuals(values: Sequence[float], apart: Sequence[bool] | None = None) -> Individuals:
    """apart: of each value but the first, whether a gap lies before it. Needs two values without one between."""
    ranges = tuple(
        None if apart is not None and apart[i] else abs(b - a) for i, (a, b) in enumerate(itertools.pairwise(values))
    )
    known = [one for one in ranges if one is not None]
    return Individuals(math.fsum(values) / len(values), math.fsum(known) / len(known), ranges)


@dataclass(frozen=True)
class Ewma:
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def ewma(values: Sequence[float], centre: float, sigma: float, weight: float = LAMBDA, width: float = WIDTH) -> Ewma:
    """z_i = weight x_i + (1 - weight) z_(i-1) from z_0 = centre, with the exact limits of each i."""
    found, low, high = [], [], []
    z = centre
    for i, x in enumerate(values, 1):
        z = weight * x + (1 - weight) * z
        half = width * sigma * math.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * i)))
        found.append(z)
        low.append(centre - half)
        high.append(centre + half)
    return Ewma(tuple(found), tuple(low), tuple(high))


def _beyond(count: int, sigmas: float) -> Callable[[Sequence[float]], bool]:
    """`count` of the points beyond so many sigmas on one side, the last of them among them."""

    def rule(z: Sequence[float]) -> bool:
        side = math.copysign(1.0, z[-1])
        return side * z[-1] > sigmas and sum(side * one > sigmas for one in z) >= count

    return rule


def _rule(of: int, test: Callable[[Sequence[float]], bool]) -> tuple[int, Callable[[Sequence[float]], bool]]:
    return of, test


def _turns(z: Sequence[float]) -> bool:
    steps = [b - a for a, b in itertools.pairwise(z)]
    return all(a * b < 0 for a, b in itertools.pairwise(steps))


def _climbs(z: Sequence[float]) -> bool:
    steps = [b - a for a, b in itertools.pairwise(z)]
    return all(one > 0 for one in steps) or all(one < 0 for one in steps)


# Rule -> (points it looks at, whether the last of them breaks it), each point in sigmas from the mean (Nelson 1984).
RULES: dict[int, tuple[int, Callable[[Sequence[float]], bool]]] = {
    1: _rule(1, lambda z: abs(z[-1]) > 3),
    2: _rule(9, lambda z: all(one > 0 for one in z) or all(one < 0 for one in z)),
    3: _rule(6, _climbs),
    4: _rule(14, _turns),
    5: _rule(3, _beyond(2, 2.0)),
    6: _rule(5, _beyond(4, 1.0)),
    7: _rule(15, lambda z: all(abs(one) < 1 for one in z)),
    8: _rule(8, lambda z: all(abs(one) > 1 for one in z) and any(one > 0 for one in z) and any(one < 0 for one in z)),
}


def nelson(values: Sequence[float], centre: float, sigma: float) -> dict[int, list[int]]:
    """Of each rule the indices of the points at which it is broken."""
    z = [(one - centre) / sigma for one in values]
    found: dict[int, list[int]] = {rule: [] for rule in RULES}
    for rule, (of, test) in RULES.items():
        for i in range(of - 1, len(z)):
            if test(z[i - of + 1 : i + 1]):
                found[rule].append(i)
    return found


def autocorrelation(values: Sequence[float]) -> float | None:
    """Of lag 1; None where all values are alike (e-Handbook 1.3.5.12)."""
    mean = math.fsum(values) / len(values)
    square = math.fsum((one - mean) ** 2 for one in values)
    if square <= 0:
        return None
    return math.fsum((a - mean) * (b - mean) for a, b in itertools.pairwise(values)) / square


@dataclass(frozen=True)
class Capability:
    """cp: None where one limit alone is given."""

    cp: float | None
    cpk: float


def capability(mean: float, sigma: float, lower: float | None, upper: float | None) -> Capability:
    sides = [] if upper is None else [(upper - mean) / (3 * sigma)]
    sides += [] if lower is None else [(mean - lower) / (3 * sigma)]
    cp = None if lower is None or upper is None else (upper - lower) / (6 * sigma)
    return Capability(cp, min(sides))


def control(series: Series, quantity: str, spec: Spec, since_ms: int, until_ms: int) -> Report:
    """The report of one feature of one node; the series has that quantity alone.

    Measurements of a machine that stands, and those that were clipped or incomplete, are not of the process.
    """
    topic, unit = series.topic, KNOWN[quantity].ucum
    inside = [one for one in series.samples if since_ms <= one.time_ms < until_ms and one.values[0] is not None]
    used = [one for one in inside if one.machine != STOPPED and one.fit]
    notes = [*said_of(series), *_left_out(inside, used)]

    def made(figures: tuple[Figure, ...], tables: tuple[Table, ...], charts: tuple[Chart, ...]) -> Report:
        return Report("control", (topic,), since_ms, until_ms, spec.zone, figures, tables, charts, tuple(notes),
                      tuple(note(f"def_{key}") for key in ("individuals", "ewma", "nelson", "capability")),
                      {"quantity": quantity})  # fmt: skip

    gaps = {b[:3] for _, b in gaps_of(series, used)}
    apart = [one[:3] in gaps for one in used[1:]]
    values = [one.values[0] for one in used if one.values[0] is not None]
    if len(values) < LEAST or len(values) - 1 - sum(apart) < LEAST // 2:
        why = note("too_few", count=len(values), least=LEAST)
        return made((Figure("mean", None, unit, why=why, subject=topic),), (), ())
    chart = individuals(values, apart)
    of_all = behind(topic, used)
    mean = Figure("mean", chart.mean, unit, of_all, subject=topic)
    lag = autocorrelation(values)
    if lag is None or not chart.sigma:
        notes.append(note("all_alike"))
        return made((mean,), (), ())
    bound = 2 / math.sqrt(len(values))  # twice its standard error where there is none
    if lag > bound:
        notes.append(note("autocorrelated", lag=lag, bound=bound))
    broken = nelson(values, chart.mean, chart.sigma)
    smoothed = ewma(values, chart.mean, chart.sigma)
    outside = [i for i, z in enumerate(smoothed.values) if not smoothed.low[i] <= z <= smoothed.high[i]]
    points = sorted({i for found in broken.values() for i in found})
    low, high = chart.limits
    figures = (
        mean,
        Figure("sigma", chart.sigma, unit, of_all, subject=topic),
        Figure("limit_low", low, unit, of_all, subject=topic),
        Figure("limit_high", high, unit, of_all, subject=topic),
        Figure("signals", len(points), "1", behind(topic, (used[i] for i in points)), subject=topic),
        Figure("ewma_signals", len(outside), "1", behind(topic, (used[i] for i in outside)), subject=topic),
        Figure("autocorrelation", lag, "1", of_all, subject=topic),
        *_capable(chart, spec.limits_of(topic, quantity), used, bool(points), notes, topic),
    )
    tables = (_rules(broken, used, topic), _signals(broken, used, unit, topic))
    return made(figures, tuple(table for table in tables if table.rows), _charts(chart, smoothed, points, used, unit))


def _left_out(inside: Sequence[Sample], used: Sequence[Sample]) -> list[Note]:
    stopped = sum(one.machine == STOPPED for one in inside)
    unfit = len(inside) - len(used) - stopped
    learning = sum(one.machine == "learning" for one in used)
    found = [note("left_stopped", count=stopped)] if stopped else []
    found += [note("left_unfit", count=unfit)] if unfit else []
    found += [note("while_learning", count=learning)] if learning else []
    return found + ([note("no_running")] if used and not any(one.machine for one in used) else [])


def _capable(
    chart: Individuals, given: Limits | None, used: Sequence[Sample], signals: bool, notes: list[Note], topic: str
) -> list[Figure]:
    if given is None:
        why = note("no_limits")
        return [Figure(key, None, "1", why=why, subject=topic) for key in ("cp", "cpk")]
    found = capability(chart.mean, chart.sigma, given.lower, given.upper)
    if signals:
        notes.append(note("not_in_control"))
    of_all = behind(topic, used)
    one_sided = note("one_sided") if found.cp is None else None
    return [
        Figure("cp", found.cp, "1", () if found.cp is None else of_all, one_sided, subject=topic),
        Figure("cpk", found.cpk, "1", of_all, subject=topic),
    ]


def _rules(broken: dict[int, list[int]], used: Sequence[Sample], topic: str) -> Table:
    rows = [
        Row((rule, note(f"nelson_{rule}"), len(found)), behind(topic, (used[i] for i in found)))
        for rule, found in broken.items()
    ]
    return Table("rules", (Column("rule", digits=0), Column("what", kind="text"), Column("points", digits=0)),
                 tuple(rows))  # fmt: skip


def _signals(broken: dict[int, list[int]], used: Sequence[Sample], unit: str, topic: str) -> Table:
    by_point: dict[int, list[int]] = {}
    for rule, found in broken.items():
        for i in found:
            by_point.setdefault(i, []).append(rule)
    rows = []
    for i in sorted(by_point, key=lambda i: (min(by_point[i]), -i))[:_SHOWN]:  # the gravest rule first, then the newest
        rules = ", ".join(map(str, by_point[i]))
        rows.append(Row((used[i].time_ms, used[i].values[0], rules), behind(topic, [used[i]])))
    columns = (Column("time", kind="time"), Column("value", unit, digits=4), Column("rules", kind="text"))
    return Table("signals", columns, tuple(rows))


def _charts(
    chart: Individuals, smoothed: Ewma, points: Sequence[int], used: Sequence[Sample], unit: str
) -> tuple[Chart, ...]:
    times = [one.time_ms for one in used]
    values = [one.values[0] for one in used]
    low, high = chart.limits
    marked = Line("signals", [times[i] for i in points], [values[i] for i in points], "points")
    limits = (Limit("mean", chart.mean), Limit("limit_low", low), Limit("limit_high", high))
    ranges = Line("moving_range", times[1:], chart.ranges)
    return (
        Chart("individuals", unit, (Line("value", times, values), marked), limits),
        Chart("moving_range", unit, (ranges,),
              (Limit("mean_range", chart.mean_range), Limit("range_limit", chart.range_limit))),
        Chart("ewma", unit, (Line("limits", times, smoothed.low, "band", smoothed.high),
                             Line("ewma", times, smoothed.values)), (Limit("mean", chart.mean),)),
    )  # fmt: skip
