"""Trends: what rises slowly is told before its limit, and what wanders or steps is not; on CPython and MicroPython."""

import json
import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dsp.trend import Trend
from tests.programs import program

Run = Callable[..., Any]
HOUR = 3600.0


def values(ratios: Iterable[float | None], since_s: float = HOUR) -> list[float]:
    trend = Trend(1, 1.6, 2.5)
    return [trend.take([ratio], since_s) for ratio in ratios]


def noisy(ratios: Iterable[float], seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [ratio * math.exp(rng.gauss(0, 0.05)) for ratio in ratios]


def rise(length: int, to: float = 2.4) -> list[float]:
    """So slow that no limit of 2.5 is reached: steady for half the time, then to `to`."""
    return [max(1.0, to ** (2 * i / length - 1)) for i in range(length)]


@pytest.mark.parametrize("length", [40, 300, 2000])
@pytest.mark.parametrize("seed", range(4))
def test_a_slow_rise_is_told_before_its_limit(length: int, seed: int) -> None:
    ratios = noisy(rise(length), seed)
    told = [i for i, value in enumerate(values(ratios)) if value >= 1]
    assert told
    assert 1.6 < rise(length)[told[0]] < 2.4


@pytest.mark.parametrize(
    "ratios",
    [
        [1.0] * 600,
        [1.9] * 600,  # high, and no higher
        [1.0] * 300 + [1.8] * 300,  # another load
        [1.0, 1.8] * 300,
        [2.4 ** (1 - i / 600) for i in range(600)],  # a fall
        rise(600, 1.5),  # below the warning
        [1.35 + 0.2 * math.sin(i / 30) for i in range(600)],  # days and nights
        [3.0 if i % 20 == 0 else 1.0 for i in range(600)],  # odd values
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_what_does_not_rise_slowly_is_no_trend(ratios: list[float], seed: int) -> None:
    assert not any(values(noisy(ratios, seed)))


def test_a_rise_over_months_is_seen_in_means_of_a_day() -> None:
    """200 days; it rises in the last 14 of them."""
    ratios = [1.0] * (186 * 24) + [2.4 ** (i / (14 * 24)) for i in range(14 * 24)]
    told = [i for i, value in enumerate(values(noisy(ratios))) if value >= 1]
    assert told
    assert told[0] > 186 * 24


def test_a_feature_that_is_missing_for_a_while_does_not_hide_another() -> None:
    trend = Trend(2, 1.6, 2.5)
    told = [trend.take([None if i % 3 else 1.0, ratio], HOUR) for i, ratio in enumerate(noisy(rise(300)))]
    assert max(told) >= 1
    assert values([None] * 300) == [0.0] * 300


@pytest.mark.parametrize("place", range(3))
def test_one_of_three_features_is_looked_at_in_a_measurement(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Whichever of them rises is told within two measurements of when it would be told alone."""
    looks: list[int] = []
    ahead = Trend._ahead
    monkeypatch.setattr(Trend, "_ahead", lambda self, means: looks.append(len(means)) or ahead(self, means))
    ratios = noisy(rise(2000))
    alone = next(i for i, value in enumerate(values(ratios)) if value >= 1)
    trend = Trend(3, 1.6, 2.5)
    told_at = None
    for i, ratio in enumerate(ratios):
        looks.clear()
        told = trend.take([ratio if k == place else 1.0 for k in range(3)], HOUR)
        assert len(looks) <= 1
        if told >= 1:
            told_at = i
            break
    assert told_at is not None and alone <= told_at <= alone + 2


def test_a_trend_survives_a_restart_and_refuses_what_is_none() -> None:
    ratios = noisy(rise(300))
    trend = Trend(1, 1.6, 2.5)
    got = []
    for i, ratio in enumerate(ratios):
        if i % 50 == 49:
            saved = json.loads(json.dumps(trend.state()))
            trend = Trend(1, 1.6, 2.5)
            trend.restore(saved)
        got.append(trend.take([ratio], HOUR))
    assert got == values(ratios)
    bad = ({}, {"means": []}, {"means": [[1.0]], "passed": [1]}, {"means": [["x"]], "passed": [0, 0, 0, 0, 0, 0]})
    for state in bad:
        with pytest.raises((ValueError, KeyError, TypeError)):
            trend.restore(state)


def test_micropython_agrees(micropython: Run) -> None:
    ratios = noisy(rise(200))
    assert micropython(program(__file__, "trend"), argument=ratios) == pytest.approx(values(ratios))
