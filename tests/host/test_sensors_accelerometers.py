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


def big(data: list[int]) -> list[int]:
    return [int.from_bytes(bytes(data[i : i + 2]), "big", signed=True) for i in range(0, len(data), 2)]


@pytest.mark.parametrize(
    ("name", "register", "identity"),
    [("lsm6dsox", 0x0F, 0x6C), ("icm42688", 0x75, 0x47), ("kx134", 0x13, 0x46)],
)
def test_identities(name: str, register: int, identity: int) -> None:
    assert Wire(name).read(register) == [identity]


LSM6DSOX_6667: Writes = [(0x10, 0xA0), (0x09, 0x0A), (0x0A, 0x06)]


def test_lsm6dsox_words_have_a_tag_and_the_level_a_latched_overrun() -> None:
    """FIFO_DATA_OUT_TAG: 00010, a counter of 2 bits, and the bit that makes the ones even."""
    wire = Wire("lsm6dsox", step_g=0.061e-3)
    wire.write(*LSM6DSOX_6667)
    wire.wait(3.5 / 6667)
    assert wire.read(0x3A, 2) == [3, 0]
    words = wire.read(0x78, 21)
    assert [word >> 1 for word in words[::7]] == [0x10 >> 1, 0x12 >> 1, 0x14 >> 1]
    assert all(tag.bit_count() % 2 == 0 for tag in words[::7])
    assert [little(words[at : at + 6])[2] for at in (1, 8, 15)] == [0, 1, 2]
    wire.wait(600 / 6667)
    assert wire.read(0x3A, 2) == [0, 0x02 | 0x08 | 0x20 | 0x40]  # 512; latched, full, overrun
    wire.read(0x78, 21)
    assert wire.read(0x3A, 2)[1] & 0x08
    assert not wire.read(0x3A, 2)[1] & 0x08


@pytest.mark.parametrize(("fs", "mg"), [(0x00, 0.061), (0x04, 0.488), (0x08, 0.122), (0x0C, 0.244)])
def test_lsm6dsox_scales(fs: int, mg: float) -> None:
    wire = Wire("lsm6dsox")
    wire.write((0x10, 0xA0 | fs), *LSM6DSOX_6667[1:])
    wire.wait(0.001)
    assert little(wire.read(0x78, 7)[1:])[0] == round(-500 / mg)


ICM42688_1000: Writes = [(0x16, 0x40), (0x5F, 0x05), (0x50, 0x06), (0x4E, 0x03)]


@pytest.mark.parametrize(
    ("intf_config0", "count", "order"), [(0x30, [0, 24], big), (0x40, [3, 0], little), (0x70, [0, 3], big)]
)
def test_icm42688_packets_and_byte_order(intf_config0: int, count: list[int], order: object) -> None:
    """FIFO_COUNT_REC, FIFO_COUNT_ENDIAN and SENSOR_DATA_ENDIAN; packet 1: header 0x40, three int16, a temperature."""
    wire = Wire("icm42688")
    wire.write((0x4C, intf_config0), *ICM42688_1000)
    wire.wait(0.0035)
    assert wire.read(0x2E, 2) == count
    packet = wire.read(0x30, 8)
    assert packet[0] == 0x40
    assert order(packet[1:7]) == [-1024, 2048, 0]  # type: ignore[operator]
    wire.read(0x30, 16)
    assert wire.read(0x30, 1)[0] & 0x80  # HEADER_MSG: it is empty


@pytest.mark.parametrize(("config0", "rate_hz", "lsb"), [(0x02, 16000, 2048), (0x21, 32000, 4096), (0x66, 1000, 16384)])
def test_icm42688_rates_and_scales(config0: int, rate_hz: int, lsb: int) -> None:
    wire = Wire("icm42688")
    wire.write((0x4C, 0x40), *ICM42688_1000[:2], (0x50, config0), (0x4E, 0x03))
    wire.wait(4.5 / rate_hz)
    assert wire.read(0x2E, 2) == [4, 0]
    assert little(wire.read(0x30, 8)[1:7])[1] == lsb
    wire.write((0x4B, 0x02))  # FIFO_FLUSH
    assert wire.read(0x2E, 2) == [0, 0]


def test_icm42688_registers_of_another_bank_are_others() -> None:
    wire = Wire("icm42688")
    wire.write((0x76, 2), (0x50, 0x00), (0x76, 0))
    assert wire.read(0x50) == [0x06]


class I2cWire(Wire):
    def transfer(self, *sent: int) -> list[int]:
        self.model.i2c_start(False, self.now)
        self.model.i2c_write(sent[0] & 0x7F, self.now)
        if sent[0] & 0x80:
            self.model.i2c_start(True, self.now)
            received = [0, *(self.model.i2c_read(self.now) for _ in sent[1:])]
        else:
            received = [0, *(self.model.i2c_write(value, self.now) for value in sent[1:])]
        self.model.i2c_stop(self.now)
        return received


MPU_ON: Writes = [(0x6B, 0x00), (0x6C, 0x07), (0x23, 0x08), (0x6A, 0x40)]


@pytest.mark.parametrize(
    ("name", "identity", "setting", "size"),
    [("mpu6050", 0x68, [(0x19, 7), (0x1A, 0)], 1024), ("mpu6500", 0x70, [(0x19, 0), (0x1A, 1)], 512)],
)
def test_mpu_fifo_is_of_bytes_and_an_overflow_tears_a_sample(
    name: str, identity: int, setting: Writes, size: int
) -> None:
    """Registers 114 to 116, big-endian. The newest bytes stay: of the oldest sample the first ones are gone."""
    wire = I2cWire(name)
    assert wire.read(0x75) == [identity]
    assert wire.read(0x6B) == ([0x40] if name == "mpu6050" else [0x00])
    wire.write(*setting, (0x1C, 0x08), *MPU_ON)
    wire.wait(0.0035)
    assert wire.read(0x72, 2) == [0, 18]
    assert big(wire.read(0x74, 6)) == [-4096, 8192, 0]
    wire.wait(0.3)
    assert wire.read(0x72, 2) == [size >> 8, 0]
    assert big(wire.read(0x74, 6)) != [-4096, 8192, 0]
    wire.write((0x6A, 0x44))  # FIFO_RESET
    assert wire.read(0x72, 2) == [0, 0]


@pytest.mark.parametrize(("gsel", "counts"), [(0x00, 4096), (0x08, 2048), (0x10, 1024), (0x18, 512)])
@pytest.mark.parametrize(("osa", "rate_hz"), [(0x0F, 25600), (0x0C, 3200), (0x06, 50)])
def test_kx134_rates_and_scales(gsel: int, counts: int, osa: int, rate_hz: int) -> None:
    wire = Wire("kx134")
    wire.write((0x21, 0x40 | osa), (0x5F, 0xC1), (0x1B, 0xC0 | gsel))
    wire.wait(5.5 / rate_hz)
    assert wire.read(0x60, 2) == [30, 0]  # bytes
    assert little(wire.read(0x63, 6))[:2] == [-counts // 2, counts]
    wire.write((0x62, 0))  # BUF_CLEAR
    assert wire.read(0x60, 2) == [0, 0]


@pytest.mark.parametrize(("name", "most"), [("adxl355", 256_000), ("adxl357", 51_200)])
@pytest.mark.parametrize(("code", "shift"), [(0x01, 0), (0x02, 1), (0x03, 2)])
def test_adxl355_entries_of_20_bits_and_their_marks(name: str, most: int, code: int, shift: int) -> None:
    """FIFO: 3 bytes an axis, big-endian; bit 0 marks x, bit 1 an empty FIFO. FIFO_ENTRIES counts axes."""
    wire = Wire(name, read_bits=0x01, shift=1)
    assert wire.read(0x00, 3) == [0xAD, 0x1D, 0xED]
    wire.write((0x28, 0x00), (0x2C, code), (0x2D, 0x00))
    wire.wait(2.5 / 4000)
    assert wire.read(0x05) == [6]
    entries = wire.read(0x11, 9)
    numbers = [int.from_bytes(bytes(entries[at : at + 3]), "big", signed=True) >> 4 for at in (0, 3, 6)]
    assert numbers == [-(most >> shift) // 2, most >> shift, 0]
    assert [entries[at] & 3 for at in (2, 5, 8)] == [1, 0, 0]
    wire.read(0x11, 9)
    assert wire.read(0x11, 3)[2] & 2
    wire.wait(0.1)
    assert wire.read(0x05) == [96]
