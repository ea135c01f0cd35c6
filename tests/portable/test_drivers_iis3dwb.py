"""The IIS3DWB driver against the register model, and its buffers on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from sensor_buses import Clock, Count, Spi, axis

from drivers.iis3dwb import IIS3DWB
from quaver.emulator.sensors.iis3dwb import IIS3DWB as Model
from tests.programs import program

Z = IIS3DWB.Z_OFFSET


def rig(range_g: int = 16, **attributes: Any) -> tuple[IIS3DWB, Model, Clock]:
    clock = Clock()
    ug = {2: 61, 4: 122, 8: 244, 16: 488}[range_g]
    model = Model(attributes.pop("source", Count(ug * 1e-6)), **attributes)
    spi = Spi(clock, model, 10_000_000)
    driver = IIS3DWB(spi, spi.cs, range_g)
    return driver, model, clock


def collect(driver: IIS3DWB, clock: Clock, count: int, wait_s: float = 0.004) -> list[int]:
    values: list[int] = []
    while len(values) < count:
        n = min(driver.level(), count - len(values))
        driver.read(n)
        values += axis(driver, n, Z)
        clock.advance(wait_s)
    return values


def test_probe_knows_the_part_and_nothing_else() -> None:
    driver, model, _ = rig()
    driver.probe()
    model.fault = "absent"
    with pytest.raises(OSError, match="200"):
        driver.probe()


def test_a_stream_has_every_sample_once_and_in_order() -> None:
    driver, _, clock = rig()
    driver.probe()
    driver.start()
    assert driver.level() == 0
    assert collect(driver, clock, 4096) == list(range(4096))
    assert not driver.overrun
    assert axis(driver, 1, Z - 4) == [1]
    assert axis(driver, 1, Z - 2)[0] == -axis(driver, 1, Z)[0]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 159, 160])
def test_a_read_of_any_length_is_exact(n: int) -> None:
    driver, _, clock = rig()
    driver.start()
    clock.advance(530 / 26667)
    first = axis_of_next(driver)
    driver.read(n)
    assert axis(driver, n, Z) == list(range(first + 1, first + 1 + n))


def axis_of_next(driver: IIS3DWB) -> int:
    driver.read(1)
    return axis(driver, 1, Z)[0]


def test_samples_come_at_the_output_data_rate() -> None:
    driver, model, clock = rig()
    for ppm, expected in ((0.0, 400), (20_000.0, 408)):
        model.clock_error = ppm
        driver.start()
        clock.advance(0.015)
        assert driver.level() == expected
        driver.stop()


def test_an_unread_fifo_overruns_and_keeps_the_newest() -> None:
    driver, _, clock = rig()
    driver.start()
    clock.advance(600.5 / 26667)
    assert driver.level() == 512
    assert driver.overrun
    first = axis_of_next(driver)
    assert first in (88, 89)
    driver.start()
    assert not driver.overrun
    assert driver.level() == 0


def test_an_overrun_between_two_reads_of_the_level_is_not_missed() -> None:
    driver, _, clock = rig()
    driver.start()
    clock.advance(513.5 / 26667)
    driver.read(100)
    assert driver.level() < 512
    assert driver.overrun


def test_each_start_is_another_capture() -> None:
    driver, _, clock = rig()
    for capture in (1, 2, 3):
        driver.start()
        clock.advance(0.001)
        driver.read(4)
        assert axis(driver, 4, Z - 4) == [capture] * 4
        assert axis(driver, 4, Z) == [0, 1, 2, 3]
        driver.stop()


@pytest.mark.parametrize(("range_g", "ug"), [(2, 61), (4, 122), (8, 244), (16, 488)])
def test_ranges_scale_and_clip(range_g: int, ug: int) -> None:
    driver, model, clock = rig(range_g)
    assert ug == driver.UG_PER_LSB
    driver.start()
    clock.advance(0.001)
    driver.read(16)
    assert axis(driver, 16, Z) == list(range(16))
    driver.stop()
    model.source = Count(100.0)
    driver.start()
    clock.advance(0.001)
    driver.read(16)
    assert axis(driver, 16, Z) == [0] + [driver.CLIP_LSB] * 15
    assert axis(driver, 16, Z - 2) == [0] + [-32768] * 15


def test_a_wrong_range_is_refused() -> None:
    with pytest.raises(ValueError, match="2, 4, 8 or 16"):
        rig_driver = Spi(Clock(), Model(), 1_000_000)
        IIS3DWB(rig_driver, rig_driver.cs, 3)


@pytest.mark.parametrize("celsius", [25.0, -40.0, 61.5, 0.0])
def test_temperature(celsius: float) -> None:
    driver, _, _ = rig(temperature=celsius)
    driver.start()
    assert driver.temperature_centi() == round(celsius * 100)


def test_a_part_that_goes_missing_is_an_error() -> None:
    driver, model, clock = rig()
    driver.start()
    clock.advance(0.002)
    model.fault = "absent"
    with pytest.raises(OSError, match="200"):
        driver.level()
    with pytest.raises(OSError, match="201"):
        driver.read(16)
    model.fault = None
    assert driver.level() > 0


def test_a_stuck_part_repeats_one_sample_and_a_pinned_one_is_at_full_scale() -> None:
    driver, model, clock = rig()
    driver.start()
    clock.advance(0.01)
    driver.read(50)
    model.fault = "stuck"
    driver.read(50)
    assert axis(driver, 50, Z) == [50] * 50
    model.fault = "range"
    driver.read(50)
    assert axis(driver, 50, Z) == [driver.CLIP_LSB] * 50
    model.fault = None
    driver.read(50)
    assert axis(driver, 50, Z) == list(range(150, 200))


def test_level_and_read_leave_the_heap_alone(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "level_and_read")
    assert micropython(code) == [16, True]
