"""The tachometer's driver with edges given by hand, and its handler on the real MicroPython with the heap locked."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from drivers.tachometer import Tachometer
from tests.programs import program


class Pickup:
    """What the driver listens to, and the time that it reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_us = 0
        self.listens_to = 0
        self.handler: Any = None
        monkeypatch.setattr(time, "ticks_us", lambda: self.now_us, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)

    def attach(self, handler: Any) -> "Pickup":
        self.handler = handler
        self.listens_to = 8
        return self

    def trigger(self, edges: int | None = None) -> int:
        before = self.listens_to
        if edges is not None:
            self.listens_to = edges
        return before

    def measure(self, driver: Tachometer, edges_us: Iterable[int], until_us: int) -> float | None:
        """turns_hz() at `until_us` after begin(), with rising edges at those times."""
        began = self.now_us
        driver.begin()
        for edge in edges_us:
            self.now_us = began + edge
            if self.listens_to == 8:
                self.handler(None)
        self.now_us = began + until_us
        return driver.turns_hz()


@pytest.fixture
def pickup(monkeypatch: pytest.MonkeyPatch) -> Pickup:
    return Pickup(monkeypatch)


@pytest.mark.parametrize(("pulses", "hz"), [(1, 50.0), (4, 12.5), (60, 50 / 60)])
def test_even_edges_are_a_speed(pickup: Pickup, pulses: int, hz: float) -> None:
    driver = Tachometer(pickup.attach, pulses)
    speed = pickup.measure(driver, range(7_000, 1_230_000, 20_000), 1_230_000)
    assert speed == pytest.approx(hz, rel=1e-6)


@pytest.mark.parametrize(
    ("pulses", "apart", "every"),
    [(1, 20_000, 1), (4, 3_000, 1), (4, 2_000, 2), (1, 5_000, 2), (60, 30, 8), (1, 1_000, 16)],
)
def test_moments_of_whole_turns_are_kept(pickup: Pickup, pulses: int, apart: int, every: int) -> None:
    """At most 127 of them: of more, every second one."""
    driver = Tachometer(pickup.attach, pulses)
    edges = range(7_000, 1_230_000, apart)
    pickup.measure(driver, edges, 1_230_000)
    expected = list(edges[:: pulses * every])
    assert list(driver.moments[: driver.kept]) == expected
    assert len(expected) < 128
    pickup.measure(driver, edges[:5], 60_000)
    assert list(driver.moments[: driver.kept]) == list(edges[:5:pulses])


def test_marks_that_stand_unevenly_give_the_speed_of_whole_turns(pickup: Pickup) -> None:
    # Two marks, 45 % and 55 % of a turn of 100 ms apart, and two turns and a half of them.
    driver = Tachometer(pickup.attach, 2)
    assert pickup.measure(driver, (10_000, 65_000, 110_000, 165_000, 210_000, 265_000), 300_000) == pytest.approx(10.0)


def test_less_than_a_turn_is_a_speed_all_the_same(pickup: Pickup) -> None:
    driver = Tachometer(pickup.attach, 100)
    assert pickup.measure(driver, range(0, 500_000, 10_000), 500_000) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("edges", "until"),
    [
        ((), 100_000),
        ((5_000,), 100_000),
        ((5_000, 35_000, 65_000), 90_000),  # two intervals
        ((0, 10_000, 20_000, 40_000, 50_000), 55_000),  # one missed
        ((0, 10_000, 20_000, 20_100, 30_000, 40_000), 45_000),  # one bounced
        (range(0, 100_000, 10_000), 150_000),  # torn off half-way, or the shaft stopped
        (range(50_000, 100_000, 10_000), 100_000),  # began to turn half-way
    ],
    ids=["none", "one", "too few", "missed", "bounced", "ceased", "began late"],
)
def test_what_can_not_be_a_turning_shaft_is_no_speed(pickup: Pickup, edges: Iterable[int], until: int) -> None:
    assert pickup.measure(Tachometer(pickup.attach, 1), edges, until) is None


def test_a_measurement_knows_nothing_of_the_one_before(pickup: Pickup) -> None:
    driver = Tachometer(pickup.attach, 1)
    assert pickup.measure(driver, range(0, 200_000, 10_000), 200_000) == pytest.approx(100.0)
    pickup.now_us += 60_000_000
    assert pickup.measure(driver, range(0, 400_000, 40_000), 400_000) == pytest.approx(25.0)
    pickup.now_us += 60_000_000
    assert pickup.measure(driver, (), 400_000) is None


def test_it_listens_only_while_it_measures(pickup: Pickup) -> None:
    driver = Tachometer(pickup.attach, 1)
    assert pickup.listens_to == 0
    driver.begin()
    assert pickup.listens_to == 8
    driver.turns_hz()
    assert pickup.listens_to == 0


def test_an_edge_allocates_nothing(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "edges")
    assert micropython(code) == 99
