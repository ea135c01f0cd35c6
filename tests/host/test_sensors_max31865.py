"""The MAX31865 model, byte by byte, against the datasheet's registers, table 9, times and faults."""

import pickle

import pytest

from quaver.emulator.bus import SpiModel
from quaver.emulator.sensors.max31865 import MAX31865


class Wire:
    def __init__(self, model: MAX31865) -> None:
        self.model = model
        self.now = 0

    def transfer(self, *out: int) -> bytes:
        self.model.spi_select(self.now)
        answer = bytes(self.model.spi_exchange(value, self.now) for value in out)
        self.model.spi_deselect(self.now)
        return answer[1:]

    def registers(self) -> bytes:
        return self.transfer(0, *bytes(8))

    def result(self) -> int:
        return int.from_bytes(self.transfer(1, 0, 0), "big")

    def convert(self, settings: int = 0xB1, ms: float = 66) -> int:
        self.transfer(0x80, settings)
        self.now += round(ms * 1e6)
        return self.result()


@pytest.fixture
def wire() -> Wire:
    return Wire(MAX31865(0.0, reference=400.0))


def test_it_is_an_spi_model(wire: Wire) -> None:
    assert isinstance(wire.model, SpiModel)


def test_registers_after_power_on_and_which_can_be_written(wire: Wire) -> None:
    assert wire.registers() == bytes.fromhex("000000ffff000000")
    wire.transfer(0x81, 1, 2, 3, 4, 5, 6, 7)
    assert wire.registers() == bytes.fromhex("0000000304050600")


@pytest.mark.parametrize(
    ("celsius", "word"),
    # table 9; its codes are of resistances in hundredths of an ohm
    [(-200.0, 0x0BDA), (-100.0, 0x2690), (0.0, 0x4000), (100.0, 0x58A4), (250.0, 0x7C3A), (550.0, 0xBE64)],
)
def test_the_datasheets_table(wire: Wire, celsius: float, word: int) -> None:
    wire.model.temperature = celsius
    assert wire.convert() == pytest.approx(word, abs=2)


@pytest.mark.parametrize(("settings", "ms"), [(0xA0, 55), (0xA1, 66), (0xC0, 17.6), (0xC1, 21)])
def test_conversions_take_their_time(wire: Wire, settings: int, ms: float) -> None:
    assert wire.convert(settings, ms - 0.001) == 0
    wire.now += 1000
    assert wire.result() == 0x4000
    assert wire.registers()[0] == settings & 0xD1  # the bit of one shot clears itself
    wire.model.temperature = 100.0
    wire.now += 100_000_000
    assert (wire.result() == 0x4000) == (settings < 0xC0)


def test_without_bias_there_is_no_conversion(wire: Wire) -> None:
    assert wire.convert(0x21, 200) == 0


def test_limits_set_latched_faults(wire: Wire) -> None:
    wire.transfer(0x83, 0x40, 0x00, 0x20, 0x00)  # at 0 °C and at 200 ohm / 4
    assert wire.convert() == 0x4001
    assert wire.registers()[7] == 0x80  # "greater than or equal"
    wire.model.temperature = -20.0
    assert wire.convert() & 1  # latched
    wire.transfer(0x80, 0x83)
    assert wire.registers()[7] == 0 and not wire.result() & 1
    wire.model.temperature = -150.0
    assert wire.convert() & 1
    assert wire.registers()[7] == 0x40


def test_a_fault_cycle_finds_what_is_broken(wire: Wire) -> None:
    wire.model.broken = 0x18
    wire.transfer(0x80, 0x85)
    assert wire.registers()[7] == 0x18
    wire.transfer(0x80, 0x83)
    wire.model.broken, wire.model.fault = 0, "range"
    assert wire.convert() & 0xFFFE == 0xFFFE
    wire.transfer(0x80, 0x85)
    assert wire.registers()[7] & 0x20


def test_leads_count_by_the_wiring(wire: Wire) -> None:
    wire.model.lead = 1.0
    found = {}
    for wires in (2, 3, 4):
        wire.model.wires = wires
        found[wires] = [wire.convert(settings) - 0x4000 >> 1 for settings in (0xA1, 0xB1)]
    ohm = round(0x8000 / 400)
    assert found == {2: [pytest.approx(2 * ohm, abs=1)] * 2, 3: [pytest.approx(ohm, abs=1), 0], 4: [0, 0]}


def test_faults(wire: Wire) -> None:
    wire.convert()
    wire.model.fault = "stuck"
    wire.model.temperature = 100.0
    assert wire.convert() == 0x4000
    wire.model.fault = "absent"
    assert wire.registers() == b"\xff" * 8


def test_it_can_be_pickled_before_use() -> None:
    assert Wire(pickle.loads(pickle.dumps(MAX31865(reference=400.0)))).convert() > 0x4000
