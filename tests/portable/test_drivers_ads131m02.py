"""The ADS131M02 driver against the register model, with an interrupt at each edge of DRDY."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_buses import Clock, Count, Spi, axis

from extra.ads131m02 import ADS131M02, make
from quaver.emulator.sensors.ads131m02 import ADS131M02 as Model
from quaver.emulator.sensors.ads131m02 import DataReady

PERIOD_NS = 125_000
UG = 1.2 / 32768 / 0.1 * 1e6  # a count at gain 1 and 100 mV/g


class Level:
    """z is level_g for ever."""

    def __init__(self, level_g: float) -> None:
        self.level_g = level_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        return np.full((count, 3), self.level_g, np.float32)


class Wire(Spi):
    """SPI whose lines may be disturbed: disturb(number of the byte in its frame, byte) gives what arrives."""

    armed: Callable[[], int]
    disturb: Callable[[int, int], int] | None = None

    def cs(self, value: int) -> None:
        self.at = 0
        super().cs(value)

    def write_readinto(self, data: bytes, buffer: Any) -> None:
        assert not self.armed()  # an interrupt would cut this frame in two
        super().write_readinto(data, buffer)

    def _exchange(self, value: int) -> int:
        arrived = super()._exchange(value)
        self.at += 1
        return self.disturb(self.at - 1, arrived) if self.disturb else arrived


class Rig:
    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, source: Any, mv_g: float = 100.0, range_g: int = 0, line_hz: int = 0
    ) -> None:
        self.clock = Clock()
        self.clock.install(monkeypatch)
        monkeypatch.setattr("time.sleep_ms", lambda ms: self.run(ms * 1_000_000), raising=False)
        monkeypatch.setattr("time.ticks_us", lambda: self.clock.now // 1000 & 0x3FFFFFFF, raising=False)
        self.model = Model(source, mv_per_g=mv_g)
        self.line = DataReady(self.model)
        self.seen, self.high = 0, True
        self.armed = 0
        self.spi = Wire(self.clock, self.model, 8_000_000)
        self.spi.armed = lambda: self.armed
        self.driver = ADS131M02(self.spi, self.spi.cs, self.attach, mv_g, range_g, line_hz)

    def attach(self, handler: Any) -> Any:
        self.handler = handler
        return SimpleNamespace(trigger=self.trigger)

    def trigger(self, edges: int | None = None) -> int:
        before, self.armed = self.armed, self.armed if edges is None else edges
        return before or 4

    def edge(self, end: int) -> int | None:
        """The next falling edge of DRDY up to `end`."""
        while (at := self.line.gpio_next(self.seen)) <= end:
            self.seen, before, self.high = at, self.high, self.line.gpio_level(at)
            if before and not self.high:
                return at
        return None

    def run(self, ns: float) -> None:
        """Time passes; the interrupt comes 10 us after each edge, or when it is over with the one before."""
        end = self.clock.now + int(ns)
        while (at := self.edge(end)) is not None:
            if self.armed:
                self.clock.now = max(self.clock.now, at + 10_000)
                self.handler(None)
        self.clock.now = max(self.clock.now, end)

    def hold(self, samples: float) -> None:
        """The interrupt is held up: it comes once for all edges of that time."""
        end = self.clock.now + int(samples * PERIOD_NS)
        edges = 0
        while self.edge(end) is not None:
            edges += 1
        self.clock.now = end
        assert edges
        self.handler(None)

    def take(self, samples: int) -> list[int]:
        values: list[int] = []
        while len(values) < samples:
            n = min(self.driver.level(), self.driver.READ_MAX)
            if n:
                self.driver.read(n)
                values += axis(self.driver, n, 0)
            self.run(20 * PERIOD_NS)
        return values


class Port:
    """What a driver takes its wires from."""

    board = SimpleNamespace(PINS={"spi0_cs": 17})

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def bus(self, name: str, kind: str) -> Any:
        return SimpleNamespace(init=lambda **mode: self.asked.append(mode), readinto=None)

    def output(self, pin: int, value: int) -> None:
        self.asked.append((pin, value))

    def at_once(self, pin: int, handler: Any, falling: bool) -> Any:
        self.asked.append((pin, falling))
        return SimpleNamespace(trigger=lambda edges=4: edges)


Make = Callable[..., Rig]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda source, *given: Rig(monkeypatch, source, *given)


def counting(make: Make) -> Rig:
    """One that streams: a sample is three counts above the one before it."""
    here = make(Count(3 * UG * 1e-6))
    here.driver.probe()
    here.driver.start()
    return here


def whole(values: list[int]) -> bool:
    return {b - a for a, b in itertools.pairwise(values)} == {3}


def test_probe_knows_the_part_and_nothing_else(rig: Make) -> None:
    here = rig(Level(0))
    here.driver.probe()
    here.driver.start()
    here.driver.probe()  # after a start of the board alone
    here.model._words[0] = 0x2400  # an ADS131M04
    with pytest.raises(OSError) as other:
        here.driver.probe()
    assert other.value.args == (202, 0x24)
    here.model.fault = "absent"
    for verb in (here.driver.probe, here.driver.start):
        with pytest.raises(OSError, match="200"):
            verb()


def test_every_sample_comes_once_and_in_order_at_8_khz(rig: Make) -> None:
    here = counting(rig)
    began = here.clock.now
    values = here.take(1000)
    assert whole(values)
    assert not here.driver.overrun
    assert here.driver.ODR_HZ * (here.clock.now - began) * 1e-9 == pytest.approx(len(values), abs=21)


@pytest.mark.parametrize(
    ("mv_g", "range_g", "reach_g"),
    [(100, 0, 12), (100, 12, 12), (100, 7, 12), (100, 6, 6), (40, 0, 30), (40, 4, 7.5), (1000, 1, 1.2), (10, 1, 1.875)],
)
def test_the_gain_is_as_high_as_the_range_lets_it_be(rig: Make, mv_g: float, range_g: int, reach_g: float) -> None:
    here = rig(Level(reach_g / 2), mv_g, range_g)
    here.driver.start()
    assert reach_g / 32768 * 1e6 == pytest.approx(here.driver.UG_PER_LSB)
    assert here.take(1)[0] * here.driver.UG_PER_LSB * 1e-6 == pytest.approx(reach_g / 2, rel=1e-4)
    for level_g, wanted in ((reach_g * 1.01, here.driver.CLIP_LSB), (-reach_g * 1.01, -here.driver.CLIP_LSB - 1)):
        here.model.source = Level(level_g)
        here.driver.start()
        assert here.take(1)[0] == wanted


def test_it_takes_its_wires_from_the_board_and_the_configuration() -> None:
    given = {"bus": "spi0", "cs": -1, "drdy_pin": 3, "sensitivity_mv_g": 100.0, "range_g": 0}
    port = Port()
    assert pytest.approx(UG) == make(port, given).UG_PER_LSB
    assert port.asked == [(17, 1), (3, True)]
    make(port, {**given, "cs": 9})
    assert (9, 1) in port.asked


def test_other_parts_have_the_bus_in_their_mode_between_two_captures(rig: Make) -> None:
    here = counting(rig)
    assert here.spi.mode == {"polarity": 0, "phase": 1}
    here.driver.stop()
    assert here.spi.mode == {"polarity": 1, "phase": 1}  # as the board makes it
    here.driver.start()
    assert here.spi.mode == {"polarity": 0, "phase": 1}


@pytest.mark.parametrize(("line_hz", "weaker"), [(50, 0.98771), (60, 0.98234)])
def test_a_clamp_gives_microamperes_at_1_khz(rig: Make, line_hz: int, weaker: float) -> None:
    given = {"bus": "spi0", "cs": 9, "drdy_pin": 3, "a_per_v": 30.0, "line_hz": line_hz}
    driver = make(Port(), given)
    assert pytest.approx(1.2 * 30 / 32768 * 1e6 / weaker, rel=1e-4) == driver.UG_PER_LSB  # np.sinc(line_hz / 1000)**3
    here = rig(Count(3 * 1.2 * 30 / 32768), 1000 / 30, 0, line_hz)
    here.driver.start()
    began, values = here.clock.now, here.take(300)
    for _ in range(3):
        here.hold(8 * 1.5)  # an interrupt that comes once for two
        values += here.take(40)
    assert whole(values)
    assert not here.driver.overrun
    assert here.driver.ODR_HZ * (here.clock.now - began) * 1e-9 == pytest.approx(len(values), abs=25)


def test_a_range_beyond_the_adc_is_refused(rig: Make) -> None:
    with pytest.raises(ValueError, match="range_g 16: 100 mV/g reach 12 g"):
        rig(Level(0), 100, 16)


@pytest.mark.parametrize("clock_error", [-30_000, 30_000])
def test_a_clock_that_is_far_off_loses_none(rig: Make, clock_error: float) -> None:
    here = rig(Count(3 * UG * 1e-6))
    here.model.clock_error = clock_error
    here.driver.start()
    assert whole(here.take(1000))
    assert not here.driver.overrun


@pytest.mark.parametrize("clock_error", [-1_000, 0, 1_000])
def test_an_interrupt_that_comes_once_for_two_samples_loses_none(rig: Make, clock_error: float) -> None:
    here = rig(Count(3 * UG * 1e-6))
    here.model.clock_error = clock_error
    here.driver.start()
    values = here.take(200)
    for _ in range(3):
        here.hold(1.9)
        values += here.take(50)
    assert whole(values)
    assert not here.driver.overrun


def test_one_that_comes_too_late_is_told(rig: Make) -> None:
    here = counting(rig)
    for tenths in range(10, 60):
        here.driver.start()
        here.run((40 + tenths / 7) * PERIOD_NS)
        here.hold(tenths / 10)
        gap = not whole(here.take(80))
        assert gap <= here.driver.overrun
        assert here.driver.overrun <= (tenths > 16)
        assert gap >= (tenths > 35)


def test_each_bit_that_is_disturbed_makes_a_lost_sample_and_no_wrong_one(rig: Make) -> None:
    here = counting(rig)
    for bit in range(0, 64, 5):
        here.driver.start()
        values = here.take(20)
        here.spi.disturb = lambda at, byte, bit=bit: byte ^ (0x80 >> bit % 8 if at == bit // 8 else 0)
        here.run(PERIOD_NS)
        here.spi.disturb = None
        values += here.take(20)
        assert here.driver.overrun, bit
        assert {b - a for a, b in itertools.pairwise(values)} <= {3, 6}, bit


def test_frames_that_are_damaged_one_after_another_are_a_failure(rig: Make) -> None:
    for noise, reason in ((lambda at, byte: byte ^ at, 201), (lambda at, byte: 0, 200), (lambda at, byte: 255, 200)):
        here = counting(rig)
        here.spi.disturb = noise
        here.run(20 * PERIOD_NS)
        with pytest.raises(OSError, match=str(reason)):
            here.driver.level()


def test_a_part_that_lost_its_supply_gives_no_more_samples_until_it_is_started(rig: Make) -> None:
    here = counting(rig)
    here.take(20)
    here.model.reset(here.clock.now)
    here.run(50 * PERIOD_NS)
    with pytest.raises(OSError, match="201"):
        here.take(20)
    here.driver.probe()
    here.driver.start()
    assert whole(here.take(50))


def test_samples_that_nobody_fetches_are_lost_and_told(rig: Make) -> None:
    here = counting(rig)
    here.run(500 * PERIOD_NS)
    assert here.driver.level() == pytest.approx(500, abs=1)
    assert not here.driver.overrun
    here.run(50 * PERIOD_NS)
    assert here.driver.level() == here.driver.FIFO_DEPTH
    assert here.driver.overrun
    assert whole(here.take(512)[:512])


def test_a_stop_ends_it(rig: Make) -> None:
    here = counting(rig)
    here.run(20 * PERIOD_NS)
    here.driver.stop()
    here.run(20 * PERIOD_NS)
    assert here.driver.level() == 0
    assert not here.model._stream.running
