"""The IIS3DWB model, byte by byte, against the datasheet's register map and FIFO."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quaver.emulator.bus import SpiModel
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.stream import Rest

PERIOD_NS = 1e9 / 26667


class Flat:
    """A source of one value; remembers what it was asked for."""

    def __init__(self, *axes: float) -> None:
        self.axes = axes
        self.asked: list[tuple[int, float, int, int]] = []

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        self.asked.append((capture, rate_hz, first, count))
        return np.tile(np.array(self.axes, np.float32), (count, 1))


class Wire:
    """The controller's side of the SPI bus; time moves only by wait()."""

    def __init__(self, model: IIS3DWB) -> None:
        self.model = model
        self.now = 0

    def wait(self, samples: float) -> None:
        self.now += round(samples * PERIOD_NS)

    def transfer(self, *sent: int) -> list[int]:
        self.model.spi_select(self.now)
        received = [self.model.spi_exchange(value, self.now) for value in sent]
        self.model.spi_deselect(self.now)
        return received

    def read(self, register: int, count: int = 1) -> list[int]:
        return self.transfer(register | 0x80, *[0] * count)[1:]

    def write(self, register: int, *values: int) -> None:
        self.transfer(register, *values)

    def stream(self, mode: int = 6, full_scale: int = 0, watermark: int = 0, stop: int = 0) -> None:
        self.write(0x0A, 0)
        self.write(0x10, 0xA0 | full_scale << 2)
        self.write(0x07, watermark & 0xFF, watermark >> 8 | stop << 7)
        self.write(0x09, 0x0A)
        self.write(0x0A, mode)

    def status(self) -> tuple[int, int]:
        low, high = self.read(0x3A, 2)
        return low | (high & 3) << 8, high & ~3


@pytest.fixture
def wire() -> Wire:
    return Wire(IIS3DWB(Flat(0.1, -0.2, 0.3)))


def words(data: list[int]) -> list[list[int]]:
    return [data[i : i + 7] for i in range(0, len(data), 7)]


def signed(low: int, high: int) -> int:
    return int.from_bytes(bytes([low, high]), "little", signed=True)


def test_it_is_an_spi_model(wire: Wire) -> None:
    assert isinstance(wire.model, SpiModel)


def test_identity_and_values_after_reset(wire: Wire) -> None:
    assert wire.read(0x0F) == [0x7B]
    assert wire.read(0x12) == [0x04]
    assert wire.read(0x10) == [0x00]
    assert wire.read(0x07, 4) == [0, 0, 0, 0]
    assert wire.status() == (0, 0)


def test_read_only_registers_stay(wire: Wire) -> None:
    wire.write(0x0F, 0)
    wire.write(0x3A, 9)
    assert wire.read(0x0F) == [0x7B]
    assert wire.read(0x3A) == [0]


def test_software_reset_takes_a_moment_and_restores(wire: Wire) -> None:
    wire.stream()
    wire.write(0x12, 0x45)
    assert wire.read(0x12)[0] & 1
    wire.now += 60_000
    assert wire.read(0x12) == [0x04]
    assert wire.read(0x10) == [0x00]
    wire.wait(100)
    assert wire.status()[0] == 0


def test_addresses_count_up_only_with_if_inc(wire: Wire) -> None:
    wire.write(0x07, 1, 1, 10)
    assert wire.read(0x07, 3) == [1, 1, 10]
    wire.write(0x12, 0x40)
    assert wire.read(0x07, 3) == [1, 1, 1]


@pytest.mark.parametrize(("full_scale", "ug"), [(0, 61), (1, 488), (2, 122), (3, 244)])
def test_sensitivity_by_full_scale(wire: Wire, full_scale: int, ug: int) -> None:
    wire.stream(full_scale=full_scale)
    wire.wait(1.5)
    word = wire.read(0x78, 7)
    assert signed(*word[1:3]) == round(100_000 / ug)
    assert signed(*word[3:5]) == round(-200_000 / ug)
    assert signed(*word[5:7]) == round(300_000 / ug)


def test_beyond_full_scale_it_clips(wire: Wire) -> None:
    wire.model.source = Flat(3.0, -3.0, 1.9)
    wire.stream()
    wire.wait(1.5)
    word = wire.read(0x78, 7)
    assert [signed(*word[i : i + 2]) for i in (1, 3, 5)] == [32767, -32768, 31148]


def test_tags_name_the_sensor_count_and_have_even_parity(wire: Wire) -> None:
    wire.stream()
    wire.wait(9.5)
    tags = [word[0] for word in words(wire.read(0x78, 63))]
    assert {tag >> 3 for tag in tags} == {0x02}
    assert [tag >> 1 & 3 for tag in tags] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert all(tag.bit_count() % 2 == 0 for tag in tags)


def test_a_burst_rolls_over_and_takes_words_out_at_their_last_byte(wire: Wire) -> None:
    wire.stream()
    wire.wait(10.5)
    assert wire.status()[0] == 10
    first = wire.read(0x78, 6)  # one byte short: the word stays
    assert wire.status()[0] == 10
    assert wire.read(0x78, 6) == first
    wire.read(0x78, 21)
    assert wire.status()[0] == 7


def test_an_empty_fifo_gives_words_without_a_tag(wire: Wire) -> None:
    wire.stream()
    wire.wait(1.5)
    assert words(wire.read(0x78, 14))[1] == [0] * 7
    assert wire.status()[0] == 0


def test_watermark_full_and_overrun_flags(wire: Wire) -> None:
    wire.stream(watermark=300)
    wire.wait(299.5)
    assert wire.status() == (299, 0x00)
    wire.wait(1)
    assert wire.status() == (300, 0x80)
    wire.wait(211)
    assert wire.status() == (511, 0xA0)  # full at the next sample
    wire.wait(1)
    assert wire.status() == (512, 0xA0)
    wire.wait(1)
    assert wire.status() == (512, 0xE8)
    assert wire.status() == (512, 0xE0)  # the latched flag went with the reading
    wire.read(0x78, 7 * 300)
    assert wire.status() == (212, 0x00)


def test_an_overrun_that_a_read_ends_stays_latched(wire: Wire) -> None:
    wire.stream()
    wire.wait(600)
    wire.read(0x78, 7 * 10)
    assert wire.status() == (502, 0x08)
    assert wire.status() == (502, 0x00)


def test_fifo_mode_stops_when_full_until_bypass(wire: Wire) -> None:
    wire.stream(mode=1)
    wire.wait(700)
    level, flags = wire.status()
    assert (level, flags & 0x40) == (512, 0x40)
    assert words(wire.read(0x78, 7))[0][0] >> 1 & 3 == 0  # the oldest is still there
    wire.wait(100)
    assert wire.status()[0] == 511
    wire.stream(mode=1)
    assert wire.status()[0] == 0


def test_stop_on_watermark_limits_the_depth(wire: Wire) -> None:
    wire.stream(watermark=64, stop=1)
    wire.wait(100)
    assert wire.status()[0] == 64


@pytest.mark.parametrize("mode", [0, 4, 7])
def test_bypass_and_untriggered_modes_collect_nothing(wire: Wire, mode: int) -> None:
    wire.stream(mode=mode)
    wire.wait(100)
    assert wire.status()[0] == 0


def test_output_registers_follow_the_converter(wire: Wire) -> None:
    assert wire.read(0x1E) == [0]
    wire.write(0x10, 0xA0)
    wire.wait(1.5)
    assert wire.read(0x1E) == [0x05]
    data = wire.read(0x28, 6)
    assert signed(*data[4:6]) == round(300_000 / 61)
    assert wire.read(0x1E) == [0x04]
    wire.wait(1)
    assert wire.read(0x1E) == [0x05]


def test_temperature_is_256_lsb_a_degree_from_25(wire: Wire) -> None:
    wire.model.temperature = 31.5
    assert signed(*wire.read(0x20, 2)) == 0  # asleep with the accelerometer
    wire.write(0x10, 0xA0)
    assert signed(*wire.read(0x20, 2)) == 6.5 * 256
    wire.model.temperature = -10.25
    assert signed(*wire.read(0x20, 2)) == -35.25 * 256


def test_the_source_is_asked_for_the_true_rate_and_the_capture(wire: Wire) -> None:
    source = Flat(0, 0, 0)
    wire.model.source = source
    wire.model.clock_error = 3000.0
    assert signed(wire.read(0x63)[0], 0) == 2  # 0.15 % a step
    for _ in range(2):
        wire.stream()
        wire.wait(100)
        wire.read(0x78, 7)
    assert [(capture, first) for capture, _, first, _ in source.asked] == [(0, 0), (1, 0)]
    assert source.asked[0][1] == pytest.approx(26667 * 1.003)
    assert all(count >= 1024 for *_, count in source.asked)


def test_faults(wire: Wire) -> None:
    wire.stream()
    wire.wait(20)
    wire.model.fault = "range"
    assert wire.read(0x78, 7)[1:] == [0xFF, 0x7F] * 3
    wire.model.fault = "stuck"
    held = wire.read(0x78, 7)[1:]
    wire.model.source = Flat(1.0, 1.0, 1.0)
    wire.stream()
    wire.wait(2)
    assert wire.read(0x78, 7)[1:] == held
    wire.model.fault = None
    assert wire.read(0x78, 7)[1:] != held
    wire.model.fault = "absent"
    assert wire.read(0x0F) == [0xFF]
    wire.write(0x10, 0x00)
    wire.model.fault = None
    assert wire.read(0x10) == [0xA0]


def test_without_a_source_it_shows_its_own_noise_and_always_the_same() -> None:
    readings = []
    for _ in range(2):
        wire = Wire(IIS3DWB())
        wire.stream()
        wire.wait(500)
        readings.append(wire.read(0x78, 7 * 400))
    assert readings[0] == readings[1]
    z = [signed(*word[5:7]) * 61e-6 for word in words(readings[0])]
    assert np.std(z) == pytest.approx(0.006, rel=0.2)


def test_it_can_be_pickled_before_use() -> None:
    model = pickle.loads(pickle.dumps(IIS3DWB(Flat(1, 1, 1), temperature=40.0)))
    assert model.temperature == 40.0
    assert Wire(model).read(0x0F) == [0x7B]


@given(st.data())
def test_a_transfer_in_one_piece_carries_the_same_bytes(data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from([1, 3, 6]))
    wires = [Wire(IIS3DWB(Rest(0.1))) for _ in range(2)]
    for wire in wires:
        wire.stream(mode=mode, watermark=100)
    for _ in range(data.draw(st.integers(1, 4))):
        pause, size = data.draw(st.integers(0, 700)), data.draw(st.integers(1, 900))
        byte_ns = data.draw(st.sampled_from([800.0, 9000.0]))
        register = data.draw(st.sampled_from([0x78, 0x7A, 0x3A]))
        sent = bytes([register | 0x80]) + bytes(size)
        seen = []
        for whole, wire in enumerate(wires):
            wire.wait(pause)
            model, now = wire.model, wire.now
            model.spi_select(now)
            if whole:
                first = model.spi_burst(sent[:1], now, byte_ns)
                seen.append(first + model.spi_burst(sent[1:], int(now + byte_ns), byte_ns))
            else:
                bytewise = [model.spi_exchange(sent[0], int(now + byte_ns))]
                start = int(now + byte_ns)
                for i, value in enumerate(sent[1:], 1):
                    bytewise.append(model.spi_exchange(value, int(start + i * byte_ns)))
                seen.append(bytes(bytewise))
            model.spi_deselect(now)
            wire.now = int(now + (size + 1) * byte_ns)
        assert seen[0] == seen[1]
        assert wires[0].status() == wires[1].status()
