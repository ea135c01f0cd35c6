"""The tachometer's model: its edges in time, and what its faults do to them."""

import itertools
import pickle

import pytest

from quaver.emulator.bus import GpioModel
from quaver.emulator.sensors.tachometer import Tachometer


def changes(model: Tachometer, begin: float, end: float) -> list[tuple[int, bool]]:
    """(when in ns, new level) of every change from begin to end, s; found by looking when the model says."""
    now = round(begin * 1e9)
    level = model.gpio_level(now)
    found = []
    while (now := model.gpio_next(now)) < end * 1e9:
        before, level = level, model.gpio_level(now)
        if level != before:
            assert model.gpio_level(now - 1) == before  # not a nanosecond late
            found.append((now, level))
    return found


def rises(model: Tachometer, begin: float, end: float) -> list[int]:
    return [at for at, level in changes(model, begin, end) if level]


def test_it_is_a_gpio_model_that_goes_to_another_process() -> None:
    model = Tachometer(1800, 2)
    assert isinstance(model, GpioModel)
    assert rises(pickle.loads(pickle.dumps(model)), 0, 1) == rises(model, 0, 1)


@pytest.mark.parametrize(("rpm", "pulses"), [(1500, 1), (1797, 4), (37, 1), (3000, 60)])
def test_the_speed_and_the_duty_are_as_given(rpm: float, pulses: int) -> None:
    found = changes(Tachometer(rpm, pulses, duty=0.2), 1000, 1004)
    up = [at for at, level in found if level]
    assert abs(len(up) - 4 * rpm * pulses / 60) <= 1
    assert (up[-1] - up[0]) / (len(up) - 1) == pytest.approx(60e9 / rpm / pulses, rel=1e-6)
    down = next(at for at, level in found if not level and at > up[0])
    assert down - up[0] == pytest.approx(0.2 * 60e9 / rpm / pulses, abs=2)


def test_jitter_moves_single_pulses_and_not_the_mean() -> None:
    model = Tachometer(1500, 1, jitter=0.03, seed=7)
    up = rises(model, 0, 20)
    gaps = [b - a for a, b in itertools.pairwise(up)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(40e6, rel=0.001)
    assert spread == pytest.approx(40e6 * 0.03 * 2**0.5, rel=0.15)  # of both ends of an interval
    assert rises(model, 0, 20) == up
    assert rises(Tachometer(1500, 1, jitter=0.03, seed=8), 0, 20) != up


def test_the_shaft_goes_on_from_where_it_is_when_its_speed_changes() -> None:
    model = Tachometer(1500)
    last = rises(model, 0, 1.005)[-1]
    model.rpm = 3000
    following = rises(model, 1.005, 1.2)
    assert 20e6 <= following[0] - last <= 40e6
    assert following[1] - following[0] == pytest.approx(20e6, abs=2)


def test_a_shaft_at_rest_gives_no_edges_until_it_turns() -> None:
    model = Tachometer(0)
    assert changes(model, 0, 1) == []
    model.rpm = 600
    assert len(rises(model, 1, 2)) == 10


@pytest.mark.parametrize(("fault", "level"), [("absent", False), ("stuck", True)])
def test_a_dead_line_keeps_its_level(fault: str, level: bool) -> None:
    model = Tachometer(1500, fault=fault)  # type: ignore[arg-type]
    assert changes(model, 0, 1) == []
    assert model.gpio_level(10**9) is level
    model.fault = None
    assert len(rises(model, 1, 2)) == 25


def test_a_pickup_too_far_away_misses_pulses_and_bounces() -> None:
    up = rises(Tachometer(6000, fault="range"), 0, 10)
    gaps = [b - a for a, b in itertools.pairwise(up)]
    assert sum(gap > 15e6 for gap in gaps) == pytest.approx(90, abs=30)
    assert sum(gap < 2e6 for gap in gaps) == pytest.approx(100, abs=30)
