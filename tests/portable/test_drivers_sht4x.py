"""The SHT4x driver against the command model, and on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from sensor_buses import Clock, I2c

from drivers.sht4x import SHT4x, crc8
from quaver.emulator.sensors.sht4x import SHT4x as Model


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


def read(clock: Clock, driver: SHT4x) -> int:
    clock.sleep_ms(driver.start())
    return driver.read_milli()


class Words:
    """The part gives these bytes, whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def writeto(self, address: int, data: bytes) -> None:
        assert (address, data) == (0x46, b"\xfd")

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        assert address == 0x46
        buffer[:] = self._answer


def test_the_checksum_of_the_datasheets_example() -> None:
    assert crc8(b"\xbe\xef", 2) == 0x92
    assert crc8(b"\xbe\xef\x92", 3) == crc8(b"\x00\x00\x81\xbe\xef\x92", 6, 3) == 0


@pytest.mark.parametrize(
    ("word", "milli", "humidity_milli"),
    [
        (b"\x00\x00\x81", -45_000, 0),  # -6 %: below the scale that there is
        (b"\xff\xff\xac", 130_000, 100_000),
        (b"\xbe\xef\x92", 85_523, 87_231),  # -45 + 175 * 48879 / 65535, -6 + 125 * 48879 / 65535
    ],
)
def test_the_scales_of_the_datasheet(clock: Clock, word: bytes, milli: int, humidity_milli: int) -> None:
    driver = SHT4x(Words(word + word), 0x46)
    assert read(clock, driver) == milli
    assert driver.humidity_milli == humidity_milli


def test_it_is_read_when_its_measurement_is_over_and_not_before(clock: Clock) -> None:
    model = Model(-10.0, 72.5)
    driver = SHT4x(I2c(clock, model, 0x44))
    driver.probe()
    assert read(clock, driver) == pytest.approx(-10_000, abs=2)
    assert driver.humidity_milli == pytest.approx(72_500, abs=2)
    driver.start()
    with pytest.raises(OSError, match="5"):
        driver.read_milli()


def test_faults(clock: Clock) -> None:
    model = Model(20.0)
    driver = SHT4x(I2c(clock, model, 0x44))
    first = read(clock, driver)
    model.fault = "stuck"
    model.temperature = 99.0
    assert read(clock, driver) == first
    model.fault = "range"
    assert read(clock, driver) > driver.HIGHEST_MILLI
    model.fault = "absent"
    for verb in (driver.probe, driver.start, driver.read_milli):
        with pytest.raises(OSError, match="5"):
            verb()


@pytest.mark.parametrize("bit", range(48))
def test_a_damaged_answer_is_an_error(clock: Clock, bit: int) -> None:
    damaged = (0xBEEF92_BEEF92 ^ 1 << bit).to_bytes(6, "big")
    driver = SHT4x(Words(damaged), 0x46)
    driver.start()
    with pytest.raises(OSError, match="201"):
        driver.read_milli()


def test_the_same_on_the_real_micropython(micropython: Callable[..., Any]) -> None:
    code = """
import json
from drivers.sht4x import SHT4x
class Bus:
    def writeto(self, address, data):
        pass
    def readfrom_into(self, address, buffer):
        buffer[:] = b"\\xbe\\xef\\x92" * 2
driver = SHT4x(Bus())
driver.start()
print(json.dumps([driver.read_milli(), driver.humidity_milli]))
"""
    assert micropython(code) == [85_523, 87_231]
