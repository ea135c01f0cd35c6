"""The pulse counter, edge by edge; its count on flash; and on the real MicroPython with the heap locked."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sensor_buses import Clock

from drivers.pulses import EnergyPulses, PulseCounter
from node.tally import Tally


class Line:
    """A pin with its interrupt, pulled up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.level = 1
        self.handler: Any = None

    def attach(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self) -> int:
        return self.level

    def play(self, *spans_ms: int) -> None:
        """The level changes after each of these times."""
        for span in spans_ms:
            self.clock.sleep_ms(span)
            self.level ^= 1
            self.handler(self)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


def counter(line: Line, width_ms: int = 20, count: int = 0) -> PulseCounter:
    return PulseCounter(line.attach, width_ms, count, lambda _: None)


@pytest.mark.parametrize(
    ("spans_ms", "count"),
    [
        ((100, 30, 100, 30), 2),
        ((100, 20), 1),
        ((100, 19), 0),  # of mains hum or a spark
        ((100, 1, 1, 2, 1, 30, 1, 1), 1),  # a contact that bounces as it closes and as it opens
        ((100,), 0),  # it counts at its end
        ((5, 5) * 40, 0),
        ((100, 3_600_000), 1),  # a part that stands before the sensor for an hour
    ],
)
def test_a_pulse_counts_once_and_nothing_shorter_does(clock: Clock, spans_ms: tuple[int, ...], count: int) -> None:
    line = Line(clock)
    pulses = counter(line)
    line.play(*spans_ms)
    assert pulses.total() == count


def test_a_pulse_of_which_the_beginning_was_not_seen_does_not_count(clock: Clock) -> None:
    line = Line(clock)
    line.level = 0
    pulses = counter(line)
    line.play(500, 100, 30)
    assert pulses.total() == 1


def test_energy_and_power_of_a_meter_with_800_pulses_a_kwh(clock: Clock) -> None:
    line = Line(clock)
    meter = EnergyPulses(line.attach, 20, 1600, lambda _: None, 800)

    def read() -> list[int | None]:
        values = asyncio.run(meter.read())
        assert values[:2] + values[3:6] == [None] * 5 and meter.absent == []
        return [values[2], values[6]]

    assert read() == [None, 2000]  # 2 kWh at the start
    line.play(100, 30)
    assert read() == [None, 2001]  # one pulse is no interval
    line.play(*(8970, 30) * 4)
    assert read() == [500_000, 2006]  # 4 pulses in 36 s: 400 pulses an hour
    clock.advance(5)
    assert read() == [500_000, 2006]
    clock.advance(40)
    assert read() == [100_000, 2006]  # had a pulse come just now, it would have been after 45 s
    line.play(4_470, 30)
    assert read() == [pytest.approx(90_909, abs=1), 2007]


def test_the_count_goes_on_after_a_restart(clock: Clock, tmp_path: Path) -> None:
    path = str(tmp_path / "pulses")
    tally = Tally(path)
    assert tally.count == 0
    clock.advance(54)
    tally.keep(41)
    assert Tally(path).count == 0  # not at each reading: flash wears out
    clock.advance(1)
    tally.keep(42)
    assert Tally(path).count == 42
    clock.advance(56)
    tally.keep(42)  # nothing new: nothing is written
    clock.advance(1)
    tally.keep(43)
    assert Tally(path).count == 43
    Path(path).write_bytes(b"9" + Path(path).read_bytes())
    assert Tally(path).count == 0  # a corrupt one


def test_the_interrupt_allocates_nothing(micropython: Callable[..., Any]) -> None:
    code = """
import json, micropython, time
from drivers.pulses import PulseCounter
class Pin:
    def __init__(self):
        self.level = 1
    def __call__(self):
        return self.level
pin = Pin()
counter = PulseCounter(lambda handler: None, 0, 0, None)
edge = counter._edge
def work():
    micropython.heap_lock()
    for _ in range(10):
        pin.level ^= 1
        edge(pin)
    micropython.heap_unlock()
work()
print(json.dumps(counter.count))
"""
    assert micropython(code) == 5
