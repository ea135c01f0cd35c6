"""Remaining life: before when a feature will hardly pass its limit, or nothing.

The logarithm of a feature, over that of its healthy level, is followed from where its rise begins (the knee of the best
fit of a level and a straight rise behind it). It is taken for a Wiener process with drift, whose first passage of a
limit is an inverse Gaussian (Chhikara and Folks, The Inverse Gaussian Distribution, 1989; as a model of degradation Si
et al., European Journal of Operational Research 213 (2011), 2.1); drift and diffusion are drawn from their posterior
under the uninformative prior. Damage goes on faster the larger it is, and records do not tell by how much: of each
exponent q in 0 to 2 (growth in proportion to size^(1 + q); Paris and Erdogan 1963 has q = m/2 - 1 of a crack, m 2 to 4
for bearing steel, so 0 to 1, and 2 is beyond it) one process is made, in the scale in which its growth is straight, and
all count alike.

What is told is the interval that begins where 5 % of what they give together lie before, and has no end. It had one,
which held on the axis of a bearing that was in view when the method was chosen and never on the other one
(docs/reports.md): rises slow down, stop and go on later. Its begin held on both.

There is none, and the reason is told, where
- the feature is not one of which it was found to hold (TRIED);
- records are too few, or the feature has not begun to rise;
- the rise may as well be chance (t test of the drift, 0.5 %);
- it has come to an end (its second half is less than a third of it);
- the limit is further away than the feature has risen so far: no one knows how it goes on there;
- the limit is passed already, or may be at the next measurement;
- the processes do not reach the limit in more than one case of twenty.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from quaver.reports.said import said_of
from quaver.reports.spec import Spec

EARLY = 0.05  # of the passages lie before the time that is told
NEVER = 0.05  # of the passages, at most
# Features that it is told of, and whether that was tried on bearings run to failure. Of the envelope it was tried too,
# and did not hold; what knocks (crest, kurtosis, peak) rises and falls, and a temperature follows the load.
TRIED = {"rms_g": True, "velocity_mm_s": False}
LEAST = 60  # records
HEALTHY = 40  # records of the beginning that the healthy level is the median of, where the node does not tell
SIGNIFICANCE = 0.005  # one-sided, and strict: the beginning of the rise was chosen by the same records
EXPONENTS = (0.0, 0.5, 1.0, 1.5, 2.0)
SECOND_HALF = 1 / 3
_STEPS, _STEPS_LEAST = 24, 8  # of the rise, each the median of its records
_BINS = 200  # of all, in which the knee is looked for
_DRAWS = 4000
_SEED = 20261129  # the same records give the same interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rise:
    """From record `first` on; steps: the log of the feature over its healthy level, medians of as many records each.

    middles_ms: when each was; step_ms: the mean time from one to the next; behind_ms: from the last to the last record.
    """

    first: int
    steps: Floats
    middles_ms: Floats
    step_ms: float
    behind_ms: float


@dataclass(frozen=True)
class Remaining:
    """early_ms: from the last record on, before which the limit is hardly passed; None and `why` where nobody knows."""

    early_ms: float | None
    why: Note | None
    rise: Rise | None = None


def remaining(times_ms: Sequence[int], values: Sequence[float], limit: float, healthy: float) -> Remaining:
    """When the feature passes `limit`, by all of its values so far, in the order of time. healthy: its level before."""
    t, x = np.asarray(times_ms, float), np.asarray(values, float)
    if len(x) < LEAST:
        return _none("life_few", count=len(x), least=LEAST)
    if not healthy > 0 or limit <= healthy or (x <= 0).any():
        return _none("life_limit", limit=limit, healthy=healthy)
    y = np.log(x / healthy)
    goal = float(np.log(limit / healthy))
    rise = _rise(t, y)
    if rise is None:
        return _none("life_flat")
    z = rise.steps
    if z[-1] >= goal:
        return Remaining(None, note("life_passed"), rise)
    from scipy.special import stdtrit  # here, for it takes a page half as long again to start

    steps = np.diff(z)
    count = len(steps)
    spread = float(steps.std(ddof=1))
    height = float(z[-1] - z[0])
    if spread <= 0 or steps.mean() / (spread / np.sqrt(count)) < stdtrit(count - 1, 1 - SIGNIFICANCE):
        return Remaining(None, note("life_chance"), rise)
    if z[-1] - z[count // 2] < SECOND_HALF * height:
        return Remaining(None, note("life_ended"), rise)
    if height < goal - z[-1]:
        return Remaining(None, note("life_far", risen=np.exp(height), left=np.exp(goal - z[-1])), rise)
    passages = _passages(z, goal)
    early, late = np.quantile(passages, [EARLY, 1 - NEVER], method="higher")
    if not np.isfinite(late):
        return Remaining(None, note("life_open"), rise)
    early_ms = float(early) * rise.step_ms - rise.behind_ms
    if early_ms < float(np.diff(t).mean()):
        return Remaining(None, note("life_soon"), rise)
    return Remaining(early_ms, None, rise)


def _none(key: str, **values: object) -> Remaining:
    return Remaining(None, note(key, **values))


def _medians(values: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
    edges = np.linspace(0, len(values), count + 1).round().astype(np.int64)
    return np.array([np.median(values[a:b]) for a, b in itertools.pairwise(edges)]), edges


def _rise(t: Floats, y: Floats) -> Rise | None:
    """Where the best fit of a level and a straight rise behind it has its knee, and what follows; None without one."""
    levels, edges = _medians(y, min(_BINS, len(y) // 3))
    count = len(levels)
    places = np.arange(count, dtype=float)
    best: tuple[float, int, float] | None = None
    for knee in range(0, count - 8, max(1, count // 100)):
        h = np.maximum(0.0, places - knee)
        h -= h.mean()
        slope = float(h @ levels) / float(h @ h)
        left = float(((levels - levels.mean() - slope * h) ** 2).sum())
        if best is None or left < best[0]:
            best = (left, knee, slope)
    if best is None or best[2] <= 0:
        return None
    first = int(edges[best[1]])
    wanted = min(_STEPS, (len(y) - first) // 3)
    if wanted < _STEPS_LEAST:
        return None
    z, at = _medians(y[first:], wanted)
    middles = np.array([t[first:][a:b].mean() for a, b in itertools.pairwise(at)])
    return Rise(first, z, middles, float(np.diff(middles).mean()), float(t[-1] - middles[-1]))


def _passages(z: Floats, goal: float) -> Floats:
    """Draws of the steps until the goal is passed, of all exponents; infinite where a draw's drift leads away."""
    random = np.random.default_rng(_SEED)
    drawn = []
    for q in EXPONENTS:
        straight = z if q == 0 else -np.expm1(-q * z) / q
        way = (goal if q == 0 else -np.expm1(-q * goal) / q) - straight[-1]
        steps = np.diff(straight)
        n = len(steps)
        variance = (n - 1) * steps.var(ddof=1) / random.chisquare(n - 1, _DRAWS)
        drift = random.normal(steps.mean(), np.sqrt(variance / n))
        passages = np.full(_DRAWS, np.inf)
        ahead = drift > 0
        passages[ahead] = random.wald(way / drift[ahead], way**2 / variance[ahead])
        drawn.append(passages)
    return np.concatenate(drawn)


@dataclass(frozen=True)
class Goal:
    """The limit, and where it is from: file, option, or told by the node in its event boot, seq."""

    value: float
    source: str
    event: tuple[int, int] | None = None


def life(series: Series, quantity: str, goal: Goal | None, spec: Spec, since_ms: int, until_ms: int) -> Report:
    """The report of one feature of one node, by its measurements in that time."""
    topic, unit = series.topic, KNOWN[quantity].ucum
    used = [
        one for one in series.samples
        if since_ms <= one.time_ms < until_ms and one.values[0] is not None and one.machine != "stopped" and one.fit
    ]  # fmt: skip
    values = [one.values[0] for one in used if one.values[0] is not None]
    times = [one.time_ms for one in used]
    notes = [*said_of(series)]
    of_all = behind(topic, used)
    definitions = (note("def_life"), note("def_life_none"), note("def_life_measured"))

    def made(figures: tuple[Figure, ...], tables: tuple[Table, ...] = (), charts: tuple[Chart, ...] = ()) -> Report:
        return Report("life", (topic,), since_ms, until_ms, spec.zone, figures, tables, charts, tuple(notes),
                      definitions, {"quantity": quantity})  # fmt: skip

    if not used:
        return made((Figure("remaining", None, "h", why=note("life_few", count=0, least=LEAST), subject=topic),))
    lines = [Line("value", times, values)]
    if quantity not in TRIED:
        why = note("life_quantity", quantity=quantity)
        chart = Chart("trend", unit, tuple(lines), subject=topic)
        return made((Figure("remaining", None, "h", of_all, why, subject=topic),), (), (chart,))
    last = Figure("last", values[-1], unit, behind(topic, used[-1:]), subject=topic)
    if goal is None:
        chart = Chart("trend", unit, tuple(lines), subject=topic)
        return made((Figure("remaining", None, "h", why=note("life_no_limit"), subject=topic), last), (), (chart,))
    healthy, of_healthy = _healthy(used, values, notes)
    found = remaining(times, values, goal.value, healthy)
    figures: list[Figure] = []
    if found.early_ms is None:
        figures.append(Figure("remaining", None, "h", of_all, found.why, subject=topic))
    else:
        figures.append(Figure("remaining", None, "h", of_all, None, found.early_ms / 3_600_000, subject=topic))
        lines.append(Line("not_before", [times[-1], round(times[-1] + found.early_ms)], [goal.value] * 2, "interval"))
        notes += [note("life_is", quantity=quantity), *([] if TRIED[quantity] else [note("life_untried")])]
    figures += [
        last,
        Figure("limit", goal.value, unit, _told(topic, goal), subject=topic),
        Figure("healthy", healthy, unit, behind(topic, of_healthy), subject=topic),
    ]
    notes.append(note(f"limit_{goal.source}"))
    tables = []
    if found.rise is not None:
        rising = used[found.rise.first :]
        steps = found.rise.steps
        lines.append(
            Line(
                "steps",
                [round(at) for at in found.rise.middles_ms],
                [healthy * float(np.exp(z)) for z in steps],
                "points",
            )
        )
        factor = float(np.exp(steps[-1] - steps[0]))
        cells = (rising[0].time_ms, (rising[-1].time_ms - rising[0].time_ms) / 3_600_000, factor, len(rising))
        columns = (Column("rises_since", kind="time"), Column("rises_for", "h", digits=1), Column("risen", "1"))
        tables.append(Table("rise", (*columns, Column("records", digits=0)), (Row(cells, behind(topic, rising)),)))
    limits = (Limit("limit", goal.value), Limit("healthy", healthy))
    return made(tuple(figures), tuple(tables), (Chart("trend", unit, tuple(lines), limits, topic),))


def _healthy(used: Sequence[Sample], values: Sequence[float], notes: list[Note]) -> tuple[float, Sequence[Sample]]:
    """The level that the machine had at first: while its node learned, else in the first records of the report."""
    learning = [(one, value) for one, value in zip(used, values, strict=True) if one.machine == "learning"]
    if len(learning) >= 10:
        notes.append(note("healthy_learned", count=len(learning)))
        return float(np.median([value for _, value in learning])), [one for one, _ in learning]
    notes.append(note("healthy_first", count=min(HEALTHY, len(used))))
    return float(np.median(values[:HEALTHY])), used[:HEALTHY]


def _told(topic: str, goal: Goal) -> tuple:  # type: ignore[type-arg]
    from quaver.reports.model import Behind

    return () if goal.event is None else (Behind(topic, goal.event, goal.event, 1),)
