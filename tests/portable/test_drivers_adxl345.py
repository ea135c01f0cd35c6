"""The ADXL345 driver against the register model on both of its buses, and its buffers on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from sensor_buses import Clock, Count, I2c, Spi, axis

from drivers.adxl345 import ADXL345, SPI_READ
from drivers.registers import I2cAccess, SpiAccess
from quaver.emulator.sensors.adxl345 import ADXL345 as Model
from tests.programs import program

Z = ADXL345.Z_OFFSET
STEP_G = 2 / 256  # at 3,200 Hz the lowest bit is always 0


def rig(bus: str, range_g: int = 16, rate_hz: int = 3200) -> tuple[ADXL345, Model, Clock]:
    clock = Clock()
    model = Model(Count(STEP_G))
    access: I2cAccess | SpiAccess
    if bus == "i2c":
        access = I2cAccess(I2c(clock, model, 0x53), 0x53)
    else:
        spi = Spi(clock, model, 5_000_000)
        access = SpiAccess(spi, spi.cs, SPI_READ)
    return ADXL345(access, range_g, rate_hz), model, clock


@pytest.fixture(params=["i2c", "spi"])
def bus(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_probe_knows_the_part_and_nothing_else(bus: str) -> None:
    driver, model, _ = rig(bus)
    driver.probe()
    model.fault = "absent"
    with pytest.raises(OSError, match=r"^5$|200"):
        driver.probe()


def test_a_stream_at_the_full_rate_has_every_sample_once_and_in_order(bus: str) -> None:
    driver, _, clock = rig(bus)
    driver.probe()
    driver.start()
    values: list[int] = []
    while len(values) < 1000:
        n = driver.level()
        driver.read(n)
        values += axis(driver, n, Z)
        clock.advance(0.002)
    assert values == list(range(0, 2 * len(values), 2))
    assert not driver.overrun
    assert axis(driver, 1, Z - 4) == [2]
    assert axis(driver, 1, Z - 2)[0] == -axis(driver, 1, Z)[0]


@pytest.mark.parametrize("rate_hz", [3200, 1600, 800, 400, 200, 100])
def test_samples_come_at_the_chosen_rate(bus: str, rate_hz: int) -> None:
    driver, _, clock = rig(bus, rate_hz=rate_hz)
    assert rate_hz == driver.ODR_HZ
    driver.start()
    clock.advance(20.3 / rate_hz)
    assert driver.level() == 20


def test_an_unread_fifo_overruns_and_keeps_the_newest(bus: str) -> None:
    driver, _, clock = rig(bus)
    driver.start()
    clock.advance(31.1 / 3200)
    assert driver.level() == 31
    assert not driver.overrun
    clock.advance(50 / 3200)
    assert driver.level() == 33
    assert driver.overrun
    driver.read(1)
    assert axis(driver, 1, Z) == [2 * (81 - 33)]
    driver.start()
    assert not driver.overrun
    assert driver.level() == 0


def test_each_start_is_another_capture(bus: str) -> None:
    driver, _, clock = rig(bus)
    for capture in (1, 2, 3):
        driver.start()
        clock.advance(0.002)
        driver.read(4)
        assert axis(driver, 4, Z - 4) == [2 * capture] * 4
        assert axis(driver, 4, Z) == [0, 2, 4, 6]
        driver.stop()


@pytest.mark.parametrize("range_g", [2, 4, 8, 16])
def test_ranges_clip_and_keep_the_scale(bus: str, range_g: int) -> None:
    driver, model, clock = rig(bus, range_g)
    assert pytest.approx(1e6 / 256, abs=0.5) == driver.UG_PER_LSB
    model.source = Count(range_g / 2)
    driver.start()
    clock.advance(0.002)
    driver.read(4)
    half = 128 * range_g
    assert axis(driver, 4, Z) == [0, half, driver.CLIP_LSB, driver.CLIP_LSB]
    assert axis(driver, 4, Z - 2) == [0, -half, -2 * half, -2 * half]


def test_faults(bus: str) -> None:
    driver, model, clock = rig(bus)
    driver.start()
    clock.advance(0.006)
    driver.read(5)
    model.fault = "stuck"
    driver.read(5)
    assert axis(driver, 5, Z) == [8] * 5
    model.fault = "range"
    driver.read(2)
    assert axis(driver, 2, Z) == [driver.CLIP_LSB] * 2
    model.fault = "absent"
    with pytest.raises(OSError, match=r"^5$|200|201"):
        driver.level()


@pytest.mark.parametrize(("range_g", "rate_hz"), [(3, 3200), (16, 1000)])
def test_a_wrong_setting_is_refused(range_g: int, rate_hz: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        rig("i2c", range_g, rate_hz)


def test_level_and_read_leave_the_heap_alone(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "level_and_read")
    assert micropython(code) == [[32, True], [32, True]]


def test_a_vibration_above_the_level_raises_the_interrupt_and_a_quieter_one_does_not(bus: str) -> None:
    """z climbs by 2/256 g a sample, at 12.5 samples/s: half a g, and the first step beyond it, after 65."""
    driver, model, clock = rig(bus)
    driver.watch(0.5)
    clock.advance(64 / 12.5)
    assert not model.raised(clock.now)
    clock.advance(3 / 12.5)
    assert model.raised(clock.now)
    driver.probe()
    assert not model.raised(clock.now)
    driver.start()  # and it samples as before
    clock.advance(20.3 / 3200)
    assert driver.level() == 20
