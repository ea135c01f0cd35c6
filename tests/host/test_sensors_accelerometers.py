"""The models of accelerometers with a FIFO, byte by byte, against the datasheets' register maps."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.emulator.bus import I2cModel, SpiModel
from quaver.emulator.sensors.accelerometers import Accelerometer, interrupt
from quaver.emulator.sensors.parts import PARTS

Writes = list[tuple[int, int]]


class Ramp:
    """z climbs by step_g a sample, y is 1 g, x is -0.5 g."""

    def __init__(self, step_g: float = 0.0) -> None:
        self.step_g = step_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        z = np.arange(first, first + count) * self.step_g
        return np.stack([np.full(count, -0.5), np.full(count, 1.0), z], axis=1).astype(np.float32)


class Wire:
    """Registers over SPI as the datasheet's timing diagram has it: `read_bits` in the first byte, `shift` before."""

    def __init__(self, name: str, read_bits: int = 0x80, shift: int = 0, step_g: float = 0.0) -> None:
        self.model = Accelerometer(name, Ramp(step_g))
        self.read_bits, self.shift = read_bits, shift
        self.now = 0

    def transfer(self, *sent: int) -> list[int]:
        self.model.spi_select(self.now)
        received = [self.model.spi_exchange(value, self.now) for value in sent]
        self.model.spi_deselect(self.now)
        return received

    def read(self, register: int, count: int = 1) -> list[int]:
        return self.transfer(register << self.shift | self.read_bits, *[0] * count)[1:]

    def write(self, *pairs: tuple[int, int]) -> None:
        for register, value in pairs:
            self.transfer(register << self.shift, value)

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


def little(data: list[int]) -> list[int]:
    return [int.from_bytes(bytes(data[i : i + 2]), "little", signed=True) for i in range(0, len(data), 2)]


def test_each_is_a_model_of_its_buses_and_can_be_pickled_before_use() -> None:
    for name in PARTS:
        model = pickle.loads(pickle.dumps(Accelerometer(name, Ramp())))
        assert isinstance(model, SpiModel)
        assert isinstance(model, I2cModel)


def test_i2c_without_the_bit_for_it_does_not_step_on_a_lis3dh() -> None:
    for step, wanted in ((0x80, [0x33, 0x00]), (0x00, [0x33, 0x33])):
        model = Accelerometer("lis3dh")
        assert model.i2c_start(False, 0)
        model.i2c_write(0x0F | step, 0)
        model.i2c_start(True, 0)
        assert [model.i2c_read(0), model.i2c_read(0)] == wanted


LIS2DW12_1600: Writes = [(0x20, 0x94), (0x2E, 0xC0)]


def test_lis2dw12_identity_and_reset_values() -> None:
    wire = Wire("lis2dw12")
    assert wire.read(0x0F) == [0x44]
    assert wire.read(0x20, 3) == [0x00, 0x04, 0x00]
    wire.write((0x0F, 1))
    assert wire.read(0x0F) == [0x44]


@pytest.mark.parametrize(("ctrl1", "rate_hz"), [(0x94, 1600), (0x84, 800), (0x74, 400), (0x90, 200), (0x50, 100)])
def test_lis2dw12_rates(ctrl1: int, rate_hz: float) -> None:
    """CTRL1: ODR[3:0] and MODE; low-power mode has 200 Hz at most."""
    wire = Wire("lis2dw12")
    wire.write((0x20, ctrl1), (0x2E, 0xC0))
    wire.wait(10.5 / rate_hz)
    assert wire.read(0x2F) == [10]


@pytest.mark.parametrize(("ctrl6", "digits_per_g"), [(0x00, 4096), (0x10, 2048), (0x20, 1024), (0x30, 512)])
def test_lis2dw12_gives_14_bits_left_aligned(ctrl6: int, digits_per_g: int) -> None:
    """0.244 mg a digit at +-2 g: 4,096 digits a g."""
    wire = Wire("lis2dw12")
    wire.write((0x25, ctrl6), *LIS2DW12_1600)
    wire.wait(0.001)
    assert little(wire.read(0x28, 6)) == [-2 * digits_per_g, 4 * digits_per_g, 0]


def test_lis2dw12_fifo_samples_and_a_burst_that_rolls_over() -> None:
    wire = Wire("lis2dw12", step_g=1 / 4096)
    wire.write(*LIS2DW12_1600)
    wire.wait(3.5 / 1600)
    assert little(wire.read(0x28, 18))[2::3] == [0, 4, 8]
    assert wire.read(0x2F) == [0]
    wire.wait(32 / 1600)
    assert wire.read(0x2F) == [32]
    wire.wait(2 / 1600)
    assert wire.read(0x2F) == [0x40 | 32]  # FIFO_OVR
    assert little(wire.read(0x28, 6))[2] == 4 * 5  # the oldest two are gone
    wire.write((0x2E, 0x00))  # bypass empties it
    assert wire.read(0x2F) == [0]


def test_lis2dw12_wakes_by_the_difference_of_two_samples() -> None:
    """WAKE_UP_THS: 1/64 of the full scale a step. 8 of +-2 g are 0.25 g."""
    wire = Wire("lis2dw12", step_g=0.24)
    wire.write((0x34, 8), (0x23, 0x20), (0x20, 0x50), (0x3F, 0x20))
    pin = interrupt(wire.model, 3).model
    assert not pin.gpio_level(50_000_000)  # type: ignore[union-attr]
    wire.model.source = Ramp(0.26)
    wire.write((0x20, 0x50), (0x35, 0))
    wire.wait(0.3)
    assert pin.gpio_level(wire.now)  # type: ignore[union-attr]
    wire.write((0x23, 0x00))
    assert not pin.gpio_level(wire.now)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ctrl1", "ctrl4", "rate_hz", "mg", "align"),
    [
        (0x97, 0x80, 1344, 4, 6),  # normal, 10 bits
        (0x97, 0x88, 1344, 1, 4),  # high resolution, 12 bits
        (0x97, 0x90, 1344, 8, 6),
        (0x97, 0xA0, 1344, 16, 6),
        (0x97, 0xB8, 1344, 12, 4),
        (0x9F, 0x80, 5376, 16, 8),  # low power, 8 bits
        (0x57, 0x80, 100, 4, 6),
    ],
)
def test_lis3dh_modes(ctrl1: int, ctrl4: int, rate_hz: int, mg: int, align: int) -> None:
    wire = Wire("lis3dh", 0xC0)
    wire.write((0x24, 0x40), (0x2E, 0x80), (0x23, ctrl4), (0x20, ctrl1))
    wire.wait(3.5 / rate_hz)
    assert wire.read(0x2F) == [3]
    x, y, _ = little(wire.read(0x28, 6))
    assert (x >> align, y >> align) == (round(-500 / mg), round(1000 / mg))


def test_lis3dh_fifo_source() -> None:
    """FIFO_SRC_REG: EMPTY, FSS[4:0], and OVRN with 31 where 32 wait."""
    wire = Wire("lis3dh", 0xC0, step_g=0.004)
    wire.write((0x24, 0x40), (0x2E, 0x80), (0x23, 0x80), (0x20, 0x97))
    assert wire.read(0x2F) == [0x20]
    wire.wait(31.5 / 1344)
    assert wire.read(0x2F) == [31]
    wire.wait(1 / 1344)
    assert wire.read(0x2F) == [0x40 | 31]
    wire.read(0x28, 6)
    assert wire.read(0x2F) == [31]


def test_lis3dh_wakes_by_what_is_behind_its_high_pass() -> None:
    """INT1_THS: 16 mg a step at +-2 g. y is 1 g all the time, and wakes nobody."""
    wire = Wire("lis3dh", 0xC0, step_g=0.016)
    wire.write((0x21, 0x01), (0x22, 0x40), (0x32, 10), (0x20, 0x5F), (0x30, 0x2A))
    wire.wait(0.1)
    assert not wire.model.raised(wire.now)
    wire.wait(0.05)
    assert wire.model.raised(wire.now)
    wire.read(0x31)
    assert not wire.model.raised(wire.now)
