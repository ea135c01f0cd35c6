"""Remaining life: a time before which the limit is hardly passed where a rise is established, else a reason."""

import numpy as np
import pytest

from quaver.reports.life import TRIED, Goal, Remaining, life, remaining
from quaver.reports.model import Sample, Series
from quaver.reports.spec import Spec
from quaver.reports.words import Words

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


def minutes(found: Remaining) -> float:
    assert found.early_ms is not None, found.why
    return found.early_ms / MINUTE


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_the_limit_is_passed_later_than_told_in_nineteen_of_twenty_machines(power: float) -> None:
    """At two thirds of the rise: one that goes on as it began, and one that goes on faster and faster."""
    held = given = 0
    shares = []
    for seed in range(40):
        is_so, measured = machine(power, seed)
        found = asked(measured[:470], float(np.e))
        if found.early_ms is not None:
            given += 1
            truth = int(np.argmax(is_so > np.e)) - 469
            held += minutes(found) <= truth
            shares.append(minutes(found) / truth)
    assert given >= 30 and held >= 0.95 * given
    assert np.median(shares) > 0.1  # and is worth telling


def test_it_stays_true_where_a_rise_pauses_and_goes_on_later() -> None:
    """The shape at which an end of the interval never held on bearings: it was passed later than was said."""
    t = np.arange(800.0)
    rise = np.interp(t, [0, 100, 300, 650, 800], [0, 0, 0.7, 0.75, 1.4])
    values = np.exp(rise + np.random.default_rng(3).normal(0, 0.03, 800))
    found = asked(values[:290], float(np.e))
    assert 0 < minutes(found) <= int(np.argmax(rise > 1.0)) - 289


def test_the_time_shrinks_as_the_limit_comes_near() -> None:
    values = grown(seed=4)
    far, near = (minutes(asked(values[:count], float(np.e))) for count in (450, 500))
    assert far > near > 1
    soon = asked(values[:560], float(np.e))  # less than to the next measurement
    assert soon.early_ms is None and soon.why is not None and soon.why.key == "life_soon"


@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_where_nothing_rises_hardly_ever_is_a_time_told(kind: str) -> None:
    """Of 60 machines without a drift: a trend was said of 3 at most."""
    given = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        y = random.normal(0, 0.1, 400) if kind == "noise" else np.cumsum(random.normal(0, 0.02, 400))
        found = asked(np.exp(y), float(np.exp(y.max() + 0.3)))
        given += found.early_ms is not None
        assert (found.early_ms is None) == (found.why is not None)
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
def test_no_time_and_the_reason(values: np.ndarray, limit: float, why: str) -> None:
    found = asked(values, limit)
    assert found.early_ms is None
    assert found.why is not None and found.why.key == why


def test_the_same_records_give_the_same_time() -> None:
    values = grown(seed=4)[:500]
    assert minutes(asked(values, 3.0)) == minutes(asked(values, 3.0))


def told_as(values: np.ndarray) -> Series:
    samples = [
        Sample(i * MINUTE, 1, i, "learning" if i < 20 else "watching", "ok", True, "node", (float(value),))
        for i, value in enumerate(values)
    ]
    return Series(TOPIC, samples, MINUTE)


def test_a_report_with_the_records_of_the_rise_behind_it() -> None:
    series = told_as(grown(seed=4)[:500])
    goal = Goal(2.8, "event", (1, 480))
    report = life(series, "rms_g", goal, Spec(), 0, 10**12)
    figures = {one.key: one for one in report.figures}
    found = figures["remaining"]
    assert found.value is None and found.low is not None and found.low > 0 and found.high is None and found.why is None
    assert Words("de", "UTC").figure(found).startswith("nicht vor ")
    assert found.behind == ((TOPIC, (1, 0), (1, 499), 500),)
    assert figures["limit"].behind == ((TOPIC, (1, 480), (1, 480), 1),)
    assert figures["healthy"].value == pytest.approx(1.0, abs=0.03) and figures["healthy"].behind[0].records == 20
    (rise,) = report.tables
    assert rise.rows[0].cells[0] == pytest.approx(200 * MINUTE, abs=40 * MINUTE)
    assert {"life_is", "limit_event", "healthy_learned"} <= {one.key for one in report.notes}
    before = next(line for line in report.charts[0].lines if line.key == "not_before")
    assert before.times_ms[0] == series.samples[-1].time_ms < before.times_ms[1]


def test_a_report_without_a_limit_or_records_says_so() -> None:
    report = life(told_as(grown()[:300]), "rms_g", None, Spec(), 0, 10**12)
    assert report.figures[0].why is not None and report.figures[0].why.key == "life_no_limit"
    report = life(Series(TOPIC, [], 0), "rms_g", None, Spec(), 0, 10**12)
    assert report.figures[0].why is not None and report.figures[0].why.key == "life_few"


@pytest.mark.parametrize(("quantity", "told"), [("envelope_g", False), ("kurtosis", False), ("velocity_mm_s", True)])
def test_nothing_is_told_of_a_feature_of_which_it_did_not_hold(quantity: str, told: bool) -> None:
    """The same rise: refused of what failed on bearings, and told with a word of doubt of what was not tried."""
    report = life(told_as(grown(seed=4)[:500]), quantity, Goal(2.8, "file"), Spec(), 0, 10**12)
    remaining = report.figures[0]
    assert (remaining.low is not None) == told
    assert told or (remaining.why is not None and remaining.why.key == "life_quantity")
    assert ("life_untried" in {one.key for one in report.notes}) == told
    assert not told or {"rms_g"} == {name for name, tried in TRIED.items() if tried}
