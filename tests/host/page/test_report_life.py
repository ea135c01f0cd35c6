"""Remaining life: an interval where a rise is established, and a reason where there is none."""

import numpy as np
import pytest

from quaver.reports.life import Goal, Remaining, life, remaining
from quaver.reports.model import Sample, Series
from quaver.reports.spec import Spec

TOPIC = "works/hall/line-2/mill/mill"
MINUTE = 60_000


def machine(power: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A feature at 1, from 200 on a rise that is about e at 600: exp(s^power), with a walk. True, measured."""
    random = np.random.default_rng(seed)
    s = np.maximum(0.0, np.arange(1000) - 200) / 400
    is_so = np.exp(s**power + np.cumsum(random.normal(0, 0.004, 1000) * (s > 0)))
    return is_so, is_so * np.exp(random.normal(0, 0.05, 1000))


def grown(seed: int = 0) -> np.ndarray:
    return machine(seed=seed)[1][:600]


def asked(values: np.ndarray, limit: float, healthy: float = 1.0) -> Remaining:
    return remaining([i * MINUTE for i in range(len(values))], [float(one) for one in values], limit, healthy)


def hours(found: Remaining) -> tuple[float, float]:
    assert found.low_ms is not None and found.high_ms is not None, found.why
    return found.low_ms / MINUTE, found.high_ms / MINUTE


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_a_rise_is_held_by_the_interval_in_nine_of_ten_machines(power: float) -> None:
    """At two thirds of it: one that goes on as it began, and one that goes on faster and faster."""
    held = given = 0
    for seed in range(40):
        is_so, measured = machine(power, seed)
        found = asked(measured[:470], float(np.e))
        if found.low_ms is not None:
            given += 1
            low, high = hours(found)
            held += low <= int(np.argmax(is_so > np.e)) - 469 <= high
    assert given >= 30 and held >= 0.9 * given


def test_the_interval_narrows_as_the_limit_comes_near() -> None:
    values = grown(seed=4)
    widths = [high - low for low, high in (hours(asked(values[:count], float(np.e))) for count in (450, 500, 560))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_where_nothing_rises_there_is_hardly_ever_an_interval(kind: str) -> None:
    """Of 60 machines without a drift: a trend was said of 3 at most."""
    given = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        y = random.normal(0, 0.1, 400) if kind == "noise" else np.cumsum(random.normal(0, 0.02, 400))
        found = asked(np.exp(y), float(np.exp(y.max() + 0.3)))
        given += found.low_ms is not None
        assert (found.low_ms is None) == (found.why is not None)
    assert given <= 3


@pytest.mark.parametrize(
    ("values", "limit", "why"),
    [
        (np.ones(20), 2.0, "life_few"),
        (np.ones(100), 0.5, "life_limit"),
        (np.zeros(100), 2.0, "life_limit"),
        (np.exp(-np.linspace(0, 1, 300)), 2.0, "life_flat"),
        (grown(), 2.0, "life_passed"),
        (grown()[:500], 30.0, "life_far"),
        (np.concatenate([np.ones(100), np.exp(np.linspace(0, 1, 100)), np.full(130, np.e) * np.exp(
            np.random.default_rng(2).normal(0, 0.01, 130))]), 4.0, "life_ended"),
    ],
)  # fmt: skip
def test_no_interval_and_the_reason(values: np.ndarray, limit: float, why: str) -> None:
    found = asked(values, limit)
    assert (found.low_ms, found.high_ms) == (None, None)
    assert found.why is not None and found.why.key == why


def test_the_same_records_give_the_same_interval() -> None:
    values = grown(seed=4)[:500]
    assert hours(asked(values, 3.0)) == hours(asked(values, 3.0))


def told(values: np.ndarray) -> Series:
    samples = [
        Sample(i * MINUTE, 1, i, "learning" if i < 20 else "watching", "ok", True, "node", (float(value),))
        for i, value in enumerate(values)
    ]
    return Series(TOPIC, samples, MINUTE)


def test_a_report_with_the_records_of_the_rise_behind_it() -> None:
    series = told(grown(seed=4)[:500])
    goal = Goal(2.8, "event", (1, 480))
    report = life(series, "envelope_g", goal, Spec(), 0, 10**12)
    figures = {one.key: one for one in report.figures}
    found = figures["remaining"]
    assert found.value is None and found.low is not None and found.high is not None and found.low < found.high
    assert found.behind == ((TOPIC, (1, 0), (1, 499), 500),)
    assert figures["limit"].behind == ((TOPIC, (1, 480), (1, 480), 1),)
    assert figures["healthy"].value == pytest.approx(1.0, abs=0.03) and figures["healthy"].behind[0].records == 20
    (rise,) = report.tables
    assert rise.rows[0].cells[0] == pytest.approx(200 * MINUTE, abs=40 * MINUTE)
    assert {"life_is", "limit_event", "healthy_learned"} <= {one.key for one in report.notes}
    passes = next(line for line in report.charts[0].lines if line.key == "passes")
    assert passes.times_ms[0] > series.samples[-1].time_ms


def test_a_report_without_a_limit_or_records_says_so() -> None:
    report = life(told(grown()[:300]), "envelope_g", None, Spec(), 0, 10**12)
    assert report.figures[0].why is not None and report.figures[0].why.key == "life_no_limit"
    report = life(Series(TOPIC, [], 0), "envelope_g", None, Spec(), 0, 10**12)
    assert report.figures[0].why is not None and report.figures[0].why.key == "life_few"
