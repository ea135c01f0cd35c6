"""The ADS131M02 model, word by word, against the datasheet's commands, registers, frames and data-ready pin."""

import pickle
from binascii import crc_hqx

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.emulator.bus import GpioModel, SpiModel
from quaver.emulator.sensors.ads131m02 import ADS131M02, DataReady, wired


class Steps:
    """z is level_g, and climbs by step_g a sample."""

    def __init__(self, step_g: float = 0.0, level_g: float = 0.0) -> None:
        self.step_g, self.level_g = step_g, level_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        z = self.level_g + np.arange(first, first + count) * self.step_g
        return np.repeat(z, 3).reshape(count, 3).astype(np.float32)


class Wire:
    """Frames of words of `size` bytes, as the datasheet's figures have them."""

    def __init__(self, model: ADS131M02) -> None:
        self.model = model
        self.line = DataReady(model)
        self.size = 3
        self.now = 0

    def frame(self, *words: int, count: int = 4) -> list[int]:
        """Send words of 16 bits, left-aligned; the upper 16 bits of what comes back, whose checksum is right."""
        sent = b"".join(word.to_bytes(2, "big") + bytes(self.size - 2) for word in words)
        sent += bytes(self.size * count - len(sent))
        self.model.spi_select(self.now)
        answer = bytes(self.model.spi_exchange(value, self.now) for value in sent)
        self.model.spi_deselect(self.now)
        checked = answer[: -self.size]
        assert int.from_bytes(answer[len(checked) :][:2], "big") == crc_hqx(checked, 0xFFFF)
        return [int.from_bytes(answer[at : at + 2], "big") for at in range(0, len(checked), self.size)]

    def read(self, address: int) -> int:
        self.frame(0xA000 | address << 7)
        return self.frame()[0]

    def write(self, address: int, *values: int) -> int:
        self.frame(0x6000 | address << 7 | len(values) - 1, *values)
        return self.frame()[0]

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def wire() -> Wire:
    return Wire(ADS131M02(Steps()))


def test_it_is_a_model_of_its_wires_and_can_be_pickled_before_use() -> None:
    adc, pin = pickle.loads(pickle.dumps(wired(ADS131M02(), "spi0", 17, 3)))
    assert isinstance(adc.model, SpiModel)
    assert isinstance(pin.model, GpioModel)
    assert pin.model._part is adc.model


def test_registers_have_the_values_after_a_reset(wire: Wire) -> None:
    """Section 8.6: ID 22xxh, STATUS 0500h, MODE 0510h, CLOCK 030Eh, CFG 0600h, gain calibration 1."""
    found = [wire.read(address) for address in range(0x13)]
    assert [found[at] for at in (0x00, 0x01, 0x02, 0x03, 0x06, 0x0C, 0x11)] == [
        *(0x2200, 0x0500, 0x0510, 0x030E, 0x0600, 0x8000, 0x8000)
    ]
    assert not any(found[at] for at in (0x04, 0x05, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x12))


def test_commands_have_their_responses(wire: Wire) -> None:
    """Table 8-11: each comes in the next frame."""
    for command, response in ((0x0022, 0x0022), (0x0033, 0x0033), (0x0011, 0xFF22), (0x0000, 0x0500), (0x1234, 0x0500)):
        wire.frame(command)
        assert wire.frame()[0] == response
    assert wire.write(0x02, 0x0110, 0x010A, 0x0003) == 0x4102
    wire.frame(0xA102)  # three registers from MODE on
    assert wire.frame(count=5) == [0xE102, 0x0110, 0x010A, 0x0003]
    assert wire.write(0x00, 0xFFFF) == 0x4000
    assert wire.read(0x00) == 0x2200


def test_a_locked_interface_reads_alone(wire: Wire) -> None:
    wire.frame(0x0555)
    assert wire.frame()[0] == 0x0555
    assert wire.write(0x04, 0x0007) == 0x8500
    assert wire.read(0x04) == 0
    wire.frame(0x0655)
    assert wire.write(0x04, 0x0007) == 0x4200
    assert wire.read(0x04) == 7


def test_a_checksum_of_the_input_is_minded_where_it_is_switched_on(wire: Wire) -> None:
    wire.write(0x02, 0x1110)
    wire.frame(0x6200, 0x0007)  # GAIN1, and no checksum
    good = [0x0000, crc_hqx(b"\0\0\0", 0xFFFF)]
    assert wire.frame(*good)[0] & 0x1000
    sent = [0x6200, 0x0007]
    wire.frame(*sent, crc_hqx(b"\x62\0\0\0\x07\0", 0xFFFF))
    assert wire.frame(*good)[0] == 0x4200
    assert not wire.frame(*good)[0] & 0x1000


@pytest.mark.parametrize(
    ("clock", "rate_hz"),
    [
        *((0x0302, 32_000), (0x0306, 16_000), (0x030A, 8_000), (0x030E, 4_000), (0x0312, 2_000), (0x0316, 1_000)),
        *((0x031A, 500), (0x031E, 250), (0x0322, 64_000), (0x0002, 0)),
    ],
)
def test_the_data_rates_of_table_8_2(wire: Wire, clock: int, rate_hz: int) -> None:
    wire.write(0x03, clock)
    edges, level, at = 0, True, wire.now
    while (at := wire.line.gpio_next(at)) <= wire.now + 100_000_000:
        before, level = level, wire.line.gpio_level(at)
        edges += before and not level
    assert edges == rate_hz / 10


@pytest.mark.parametrize("gain", range(8))
def test_full_scale_is_1_2_v_by_the_gain(wire: Wire, gain: int) -> None:
    """Table 8-1; codes clip (table 8-10)."""
    wire.write(0x03, 0x010A, gain)
    full_g = 1.2 / 2**gain / 0.1
    for level_g, code in ((full_g / 2, 0x4000), (full_g * 1.1, 0x7FFF), (-full_g * 1.1, 0x8000), (-full_g / 4, 0xE000)):
        wire.model.source = Steps(level_g=level_g)
        wire.write(0x04, gain)
        wire.wait(0.001)
        wire.frame()
        wire.wait(0.001)
        assert wire.frame()[1:] == [code, 0]  # channel 1 is off


def test_words_of_16_bits_cut_the_samples(wire: Wire) -> None:
    wire.model.source = Steps(12 / 2**15)
    wire.write(0x02, 0x0110, 0x010A)
    wire.wait(0.01)
    wire.frame()
    wire.frame()
    long = wire.frame()
    wire.frame(0x6100, 0x0010)
    wire.size = 2
    assert wire.frame()[0] == 0x4100
    wire.wait(0.01)
    status, sample, _ = wire.frame()
    assert status == 0x0001  # no reset since, words of 16 bits, channel 0 is new
    assert sample > long[1]


def test_data_ready_falls_at_each_sample_and_rises_when_it_was_read(wire: Wire) -> None:
    wire.write(0x03, 0x010A)
    began = wire.model.started_ns()
    assert wire.line.gpio_level(began + 124_000)
    for at in range(125_000, 1_000_000, 125_000):
        wire.now = began + at
        assert not wire.line.gpio_level(wire.now)
        wire.frame()
        assert wire.line.gpio_level(wire.now)
    wire.now += 125_000
    assert not wire.line.gpio_level(wire.now + 124_000)  # nobody has read it
    assert wire.line.gpio_level(wire.now + 124_600)  # and it goes high for a moment, for the next edge
    assert not wire.line.gpio_level(wire.now + 125_000)


def test_two_samples_are_held_and_the_status_says_whether_there_is_one(wire: Wire) -> None:
    wire.model.source = Steps(12 / 2**15)
    wire.write(0x02, 0x0110, 0x010A)
    wire.now = wire.model.started_ns() + 10 * 125_000
    frames = [wire.frame() for _ in range(3)]
    assert [(status, sample) for status, sample, _ in frames] == [(0x0101, 8), (0x0101, 9), (0x0100, 9)]
    assert wire.line.gpio_level(wire.now)


def test_standby_and_faults(wire: Wire) -> None:
    wire.write(0x03, 0x010A)
    wire.frame(0x0022)
    assert wire.line.gpio_level(wire.now + 1_000_000_000)
    assert not wire.model._stream.running
    wire.frame(0x0033)
    wire.wait(0.001)
    assert not wire.line.gpio_level(wire.now)
    wire.model.fault = "absent"
    assert wire.line.gpio_level(wire.now)
    wire.model.spi_select(wire.now)
    assert {wire.model.spi_exchange(0, wire.now) for _ in range(12)} == {0xFF}
