"""The TMP117 driver against the register model, and its buffers on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from sensor_buses import Clock, I2c

from drivers.tmp117 import TMP117
from quaver.emulator.sensors.tmp117 import TMP117 as Model
from tests.programs import program


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


def rig(clock: Clock, celsius: float = 25.0) -> tuple[TMP117, Model]:
    model = Model(celsius)
    return TMP117(I2c(clock, model, 0x48), 0x48), model


@pytest.mark.parametrize(
    ("celsius", "milli"),
    [(25.0, 25_000), (-25.0, -25_000), (0.0078125, 8), (-0.0078125, -8), (-0.125, -125), (150.0, 150_000)],
)
def test_results_of_the_datasheets_table(clock: Clock, celsius: float, milli: int) -> None:
    driver, _ = rig(clock, celsius)
    driver.probe()
    assert driver.read_milli() == milli


def test_it_waits_for_the_first_result_and_not_for_ever(clock: Clock) -> None:
    driver, model = rig(clock)
    driver.probe()
    assert driver.read_milli() == 25_000
    assert 0.12e9 < clock.now < 0.15e9
    model.temperature = 30.0
    assert driver.read_milli() == 25_000  # the next result comes a second later
    clock.advance(1.1)
    assert driver.read_milli() == 30_000


def test_without_conversions_there_is_no_result(clock: Clock) -> None:
    driver, model = rig(clock)
    I2c(clock, model, 0x48).writeto_mem(0x48, 0x01, b"\x06\x20")  # shutdown
    with pytest.raises(OSError, match="203"):
        driver.read_milli()


def test_faults(clock: Clock) -> None:
    driver, model = rig(clock)
    driver.probe()
    driver.read_milli()
    model.fault = "stuck"
    model.temperature = 99.0
    clock.advance(3)
    assert driver.read_milli() == 25_000
    model.fault = "range"
    assert driver.read_milli() > driver.HIGHEST_MILLI
    model.fault = "absent"
    with pytest.raises(OSError, match="5"):
        driver.read_milli()
    with pytest.raises(OSError, match="5"):
        driver.probe()


def test_another_part_at_the_address_is_refused(clock: Clock) -> None:
    class Other:
        def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
            buffer[:] = b"\x01\x16"

    with pytest.raises(OSError, match=r"202\D+278"):
        TMP117(Other()).probe()


def test_read_leaves_the_heap_alone(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "read")
    assert micropython(code) == -25_000
