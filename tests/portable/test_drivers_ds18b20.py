"""The DS18B20 driver against the model, bit by bit; the timing of a line is in tests/device/test_sensors.py."""

import pytest
from sensor_buses import Clock, OneWire

from drivers.ds18b20 import DS18B20
from quaver.emulator.sensors.ds18b20 import DS18B20 as Model


@pytest.fixture
def clock() -> Clock:
    return Clock()


def read(clock: Clock, driver: DS18B20) -> int:
    clock.sleep_ms(driver.start())
    return driver.read_milli()


# the datasheet's table of temperatures and data
TABLE = [(125.0, 125_000), (85.0, 85_000), (25.0625, 25_063), (10.125, 10_125), (0.5, 500), (0.0, 0)]
TABLE += [(-0.5, -500), (-10.125, -10_125), (-25.0625, -25_062), (-55.0, -55_000)]


@pytest.mark.parametrize(("celsius", "milli"), TABLE)
def test_results_of_the_datasheets_table(clock: Clock, celsius: float, milli: int) -> None:
    driver = DS18B20(OneWire(clock, Model(celsius)))
    driver.probe()
    assert read(clock, driver) == milli


def test_what_a_part_holds_after_power_on_is_no_reading(clock: Clock) -> None:
    model = Model(21.0)
    driver = DS18B20(OneWire(clock, model))
    clock.sleep_ms(driver.start())
    model.lose_power()
    with pytest.raises(OSError, match="203"):
        driver.read_milli()
    assert read(clock, driver) == 21_000


def test_a_lower_resolution_that_it_was_left_with_is_undone(clock: Clock) -> None:
    model = Model(21.0625)
    wire = OneWire(clock, model)
    wire.reset()
    wire.write(b"\xcc\x4e\x00\x00\x1f")  # 9 bits
    assert read(clock, DS18B20(wire)) == 21_063


@pytest.mark.parametrize("level", [0, 1])
def test_a_line_that_is_held_gives_no_temperature(clock: Clock, level: int) -> None:
    """Zeros have a right checksum, and would be 0 °C."""
    wire = OneWire(clock, Model(), line=lambda _: level)
    driver = DS18B20(wire)
    for verb in (driver.probe, lambda: read(clock, driver)):
        with pytest.raises(OSError, match=r"201|202|203"):
            verb()


def test_faults(clock: Clock) -> None:
    model = Model(20.0)
    driver = DS18B20(OneWire(clock, model))
    assert read(clock, driver) == 20_000
    model.fault = "stuck"
    model.temperature = 99.0
    assert read(clock, driver) == 20_000
    model.fault = "range"
    assert read(clock, driver) > driver.HIGHEST_MILLI
    model.fault = "absent"
    for verb in (driver.probe, driver.start, driver.read_milli):
        with pytest.raises(OSError, match="200"):
            verb()


def test_another_part_is_refused(clock: Clock) -> None:
    with pytest.raises(OSError, match=r"202\D+16"):
        DS18B20(OneWire(clock, Model(family=0x10))).probe()  # a DS18S20, whose LSB is half a degree


@pytest.mark.parametrize("at", range(72))
def test_a_damaged_answer_is_an_error(clock: Clock, at: int) -> None:
    wire = OneWire(clock, Model())
    driver = DS18B20(wire)
    clock.sleep_ms(driver.start())
    bits = iter(range(100))
    wire.line = lambda bit: bit ^ (next(bits) == at)
    with pytest.raises(OSError, match="201"):
        driver.read_milli()
