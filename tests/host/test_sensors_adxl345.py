"""The ADXL345 model, byte by byte, against the datasheet's register map, FIFO and data formats."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.emulator.bus import I2cModel, SpiModel
from quaver.emulator.sensors.adxl345 import ADXL345


class Ramp:
    """z is i LSB of 1/256 g, y is 1 g, x is a third of a g."""

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        z = np.arange(first, first + count) / 256
        return np.stack([np.full(count, 1 / 3), np.full(count, 1.0), z], axis=1).astype(np.float32)


class Spi:
    def __init__(self, model: ADXL345) -> None:
        self.model = model
        self.now = 0

    def transfer(self, *sent: int) -> list[int]:
        self.model.spi_select(self.now)
        received = [self.model.spi_exchange(value, self.now) for value in sent]
        self.model.spi_deselect(self.now)
        return received

    def read(self, register: int, count: int = 1) -> list[int]:
        return self.transfer(register | 0xC0, *[0] * count)[1:]

    def write(self, register: int, *values: int) -> None:
        self.transfer(register | 0x40, *values)


class I2c(Spi):
    def read(self, register: int, count: int = 1) -> list[int]:
        assert self.model.i2c_start(False, self.now)
        assert self.model.i2c_write(register, self.now)
        assert self.model.i2c_start(True, self.now)
        data = [self.model.i2c_read(self.now) for _ in range(count)]
        self.model.i2c_stop(self.now)
        return data

    def write(self, register: int, *values: int) -> None:
        assert self.model.i2c_start(False, self.now)
        assert all(self.model.i2c_write(value, self.now) for value in (register, *values))
        self.model.i2c_stop(self.now)


@pytest.fixture(params=[Spi, I2c])
def wire(request: pytest.FixtureRequest) -> Spi:
    wire: Spi = request.param(ADXL345(Ramp()))
    return wire


def stream(wire: Spi, rate: int = 0x0D, data_format: int = 0x0B, fifo: int = 0x80) -> None:
    wire.write(0x2D, 0x00)
    wire.write(0x38, 0x00)
    wire.write(0x31, data_format)
    wire.write(0x2C, rate)
    wire.write(0x38, fifo)
    wire.write(0x2D, 0x08)


def wait(wire: Spi, samples: float, rate_hz: float = 800.0) -> None:
    wire.now += round(samples / rate_hz * 1e9)


def axes(data: list[int]) -> list[int]:
    return [int.from_bytes(bytes(data[i : i + 2]), "little", signed=True) for i in (0, 2, 4)]


def test_it_is_a_model_of_both_buses() -> None:
    assert isinstance(ADXL345(), SpiModel)
    assert isinstance(ADXL345(), I2cModel)


def test_identity_and_values_after_power_up(wire: Spi) -> None:
    assert wire.read(0x00) == [0xE5]
    assert wire.read(0x2C, 2) == [0x0A, 0x00]
    assert wire.read(0x39) == [0]
    wire.write(0x00, 1)
    assert wire.read(0x00) == [0xE5]


def test_spi_without_the_multiple_byte_bit_stays_at_one_register() -> None:
    wire = Spi(ADXL345())
    assert wire.transfer(0x80, 0, 0)[1:] == [0xE5, 0xE5]


def test_each_burst_takes_one_sample(wire: Spi) -> None:
    stream(wire)
    wait(wire, 5.5)
    assert wire.read(0x39) == [5]
    assert [axes(wire.read(0x32, 6))[2] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert wire.read(0x39) == [0]
    assert axes(wire.read(0x32, 6))[2] == 4  # the output registers keep the last


def test_a_sample_read_byte_by_byte_is_lost(wire: Spi) -> None:
    stream(wire)
    wait(wire, 4.5)
    wire.read(0x36)
    wire.read(0x37)
    assert wire.read(0x39) == [2]
    assert axes(wire.read(0x32, 6))[2] == 2


def test_the_fifo_holds_33_and_keeps_the_newest(wire: Spi) -> None:
    stream(wire, fifo=0x80 | 20)
    wait(wire, 10.5)
    assert wire.read(0x30)[0] & 0x83 == 0x80
    wait(wire, 10)
    assert wire.read(0x30)[0] & 0x83 == 0x82  # watermark
    wait(wire, 30)
    assert wire.read(0x30)[0] & 0x83 == 0x83  # and overrun
    assert wire.read(0x39) == [33]
    assert axes(wire.read(0x32, 6))[2] == 50 - 33
    wait(wire, 0)
    for _ in range(20):
        wire.read(0x32, 6)
    assert wire.read(0x30)[0] & 0x03 == 0


def test_fifo_mode_keeps_the_oldest(wire: Spi) -> None:
    stream(wire, fifo=0x40)
    wait(wire, 100)
    assert wire.read(0x39) == [33]
    assert axes(wire.read(0x32, 6))[2] == 0


def test_bypass_shows_the_latest_sample(wire: Spi) -> None:
    stream(wire, fifo=0)
    wait(wire, 7.5)
    assert axes(wire.read(0x32, 6))[2] == 6
    assert axes(wire.read(0x32, 6))[2] == 6
    wait(wire, 1)
    assert axes(wire.read(0x32, 6))[2] == 7


@pytest.mark.parametrize(
    ("data_format", "one_g", "third"),
    [
        (0x08, 256, 85),  # full resolution, ±2 g
        (0x0B, 256, 85),  # full resolution, ±16 g
        (0x00, 256, 85),  # 10 bits, ±2 g
        (0x01, 128, 43),
        (0x02, 64, 21),
        (0x03, 32, 11),
        (0x04, 256 << 6, 85 << 6),  # left-justified
        (0x0F, 256 << 3, 85 << 3),
    ],
)
def test_data_formats(wire: Spi, data_format: int, one_g: int, third: int) -> None:
    stream(wire, data_format=data_format)
    wait(wire, 1.5)
    assert axes(wire.read(0x32, 6))[:2] == [third, one_g]


@pytest.mark.parametrize(("rate", "rate_hz"), [(0x0F, 3200.0), (0x0E, 1600.0)])
def test_the_lowest_bit_is_0_at_the_upper_rates(wire: Spi, rate: int, rate_hz: float) -> None:
    stream(wire, rate=rate)
    wait(wire, 8.5, rate_hz)
    z = [axes(wire.read(0x32, 6))[2] for _ in range(8)]
    assert all(value % 2 == 0 for value in z)
    assert max(abs(value - i) for i, value in enumerate(z)) <= 1
    stream(wire, rate=rate, data_format=0x03)
    wait(wire, 17, rate_hz)
    assert {axes(wire.read(0x32, 6))[2] for _ in range(17)} == {0, 1, 2}


@pytest.mark.parametrize(("data_format", "low", "high"), [(0x0B, -4096, 4095), (0x08, -512, 511), (0x03, -512, 511)])
def test_beyond_the_range_it_clips(wire: Spi, data_format: int, low: int, high: int) -> None:
    class Huge:
        def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
            return np.tile(np.array([-99, 99, 0], np.float32), (count, 1))

    wire.model.source = Huge()
    stream(wire, data_format=data_format)
    wait(wire, 1.5)
    assert axes(wire.read(0x32, 6)) == [low, high, 0]


def test_faults(wire: Spi) -> None:
    stream(wire)
    wait(wire, 10.5)
    wire.read(0x32, 6)
    wire.model.fault = "stuck"
    assert axes(wire.read(0x32, 6))[2] == axes(wire.read(0x32, 6))[2] == 0
    wire.model.fault = "range"
    assert axes(wire.read(0x32, 6)) == [4095] * 3
    wire.model.fault = "absent"
    assert not wire.model.i2c_start(False, wire.now)
    assert Spi(wire.model).read(0x00) == [0xFF]


def test_stuck_from_the_start_is_stuck_too(wire: Spi) -> None:
    wire.model.fault = "stuck"
    stream(wire)
    wait(wire, 10.5)
    assert {tuple(wire.read(0x32, 6)) for _ in range(10)} == {tuple(wire.read(0x32, 6))}


def test_it_can_be_pickled_before_use() -> None:
    assert Spi(pickle.loads(pickle.dumps(ADXL345(Ramp())))).read(0x00) == [0xE5]


def test_activity_is_raised_until_its_source_is_read(wire: Spi) -> None:
    """Table 19: THRESH_ACT, 62.5 mg a step, to INT_SOURCE. z of the ramp climbs 1/256 g a sample."""
    wire.write(0x31, 0x0B)
    wire.write(0x2C, 0x0A)  # 100 samples/s
    wire.write(0x24, 2)  # 125 mg: 32 steps of the ramp
    wire.write(0x27, 0x90)  # z alone, against the level at its start
    wire.write(0x2D, 0x08)
    wire.write(0x2E, 0x10)
    wire.now = int(0.32e9)
    assert not wire.read(0x30)[0] & 0x10
    wire.now = int(0.35e9)
    assert wire.read(0x30)[0] & 0x10
    wire.write(0x2E, 0)
    assert not wire.model.raised(wire.now)
