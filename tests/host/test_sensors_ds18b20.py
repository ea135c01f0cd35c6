"""The DS18B20 model, bit by bit, against the datasheet's commands, scratchpad, table and times."""

import pickle

import pytest

from quaver.emulator.bus import OneWireModel
from quaver.emulator.sensors.ds18b20 import DS18B20


class Wire:
    def __init__(self, model: DS18B20) -> None:
        self.model = model
        self.now = 0

    def send(self, *data: int) -> None:
        assert self.model.one_wire_reset(self.now)
        for value in data:
            for at in range(8):
                assert not self.model.one_wire_answers
                self.model.one_wire_write(value >> at & 1, self.now)

    def read(self, count: int) -> bytes:
        return bytes(sum(self.model.one_wire_read(self.now) << at for at in range(8)) for _ in range(count))

    def convert(self, ms: float = 750) -> bytes:
        self.send(0xCC, 0x44)
        self.now += round(ms * 1e6)
        self.send(0xCC, 0xBE)
        return self.read(9)


@pytest.fixture
def wire() -> Wire:
    return Wire(DS18B20(25.0625))


def test_it_is_a_model_of_a_1_wire_line(wire: Wire) -> None:
    assert isinstance(wire.model, OneWireModel)


def test_the_scratchpad_after_power_on(wire: Wire) -> None:
    wire.send(0xCC, 0xBE)
    assert wire.read(9).hex() == "50054b467fff0c101c"  # 85 °C, and the checksum that such a part gives


def test_the_rom_code_of_the_standards_example() -> None:
    """Application note 27: family 0x02, serial number 0x0000_01B8_1C, checksum 0xA2."""
    wire = Wire(DS18B20(serial=0x00000001B81C, family=0x02))
    wire.send(0x33)
    assert wire.read(8).hex() == "021cb801000000a2"


@pytest.mark.parametrize(
    ("celsius", "word"),
    [(125.0, 0x07D0), (25.0625, 0x0191), (0.5, 0x0008), (0.0, 0), (-0.5, 0xFFF8), (-10.125, 0xFF5E), (-55.0, 0xFC90)],
)
def test_the_datasheets_table(wire: Wire, celsius: float, word: int) -> None:
    wire.model.temperature = celsius
    assert int.from_bytes(wire.convert()[:2], "little") == word


@pytest.mark.parametrize(("settings", "ms", "word"), [(0x7F, 750, 0x191), (0x5F, 375, 0x190), (0x1F, 93.75, 0x190)])
def test_a_conversion_takes_its_time_by_its_resolution(wire: Wire, settings: int, ms: float, word: int) -> None:
    wire.send(0xCC, 0x4E, 1, 2, settings)
    assert wire.convert(ms - 0.001)[:2] == b"\x50\x05"
    wire.now += 1000
    wire.send(0xCC, 0xBE)
    answer = wire.read(9)
    assert int.from_bytes(answer[:2], "little") == word
    assert answer[2:5] == bytes([1, 2, settings])


def test_read_slots_tell_when_a_conversion_is_over(wire: Wire) -> None:
    wire.send(0xCC, 0x44)
    assert wire.model.one_wire_answers and wire.read(1) == b"\x00"
    wire.now += 750_000_000
    assert wire.read(1) == b"\xff"


def test_it_answers_to_its_own_rom_code_alone(wire: Wire) -> None:
    wire.send(0x33)
    rom = wire.read(8)
    wire.send(0x55, *rom, 0xBE)
    assert wire.read(1) == b"\x50"
    wire.send(0x55, *rom[::-1], 0xBE)
    assert not wire.model.one_wire_answers


def test_a_search_goes_on_with_those_whose_bit_is_chosen(wire: Wire) -> None:
    """Application note 187: each sends its bit, then the complement, and the controller sends the one it follows."""
    wire.send(0x33)
    rom = wire.read(8)
    bits = [byte >> at & 1 for byte in rom for at in range(8)]
    wire.send(0xF0)
    for bit in bits:
        assert [wire.model.one_wire_read(wire.now) for _ in range(2)] == [bit, 1 - bit]
        assert not wire.model.one_wire_answers
        wire.model.one_wire_write(bit, wire.now)
    for at in range(8):  # it is addressed now
        wire.model.one_wire_write(0xBE >> at & 1, wire.now)
    assert wire.read(1) == b"\x50"

    wire.send(0xF0)
    for _ in range(2):
        wire.model.one_wire_read(wire.now)
    wire.model.one_wire_write(1 - bits[0], wire.now)
    assert not wire.model.one_wire_answers


def test_faults(wire: Wire) -> None:
    wire.convert()
    wire.model.fault = "stuck"
    wire.model.temperature = 99.0
    assert wire.convert()[:2] == b"\x91\x01"
    wire.model.fault = "range"
    assert wire.convert()[:2] == (2046).to_bytes(2, "little")
    wire.model.fault = "absent"
    assert not wire.model.one_wire_reset(wire.now)


def test_it_can_be_pickled_before_use() -> None:
    assert len(Wire(pickle.loads(pickle.dumps(DS18B20()))).convert()) == 9
