"""The TMP117 model, word by word, against the datasheet's register map and conversion times."""

import pickle

import pytest

from quaver.emulator.bus import I2cModel
from quaver.emulator.sensors.tmp117 import TMP117


class Wire:
    def __init__(self, model: TMP117) -> None:
        self.model = model
        self.now = 0

    def wait_ms(self, ms: float) -> None:
        self.now += round(ms * 1e6)

    def read(self, pointer: int) -> int:
        assert self.model.i2c_start(False, self.now)
        assert self.model.i2c_write(pointer, self.now)
        assert self.model.i2c_start(True, self.now)
        word = self.model.i2c_read(self.now) << 8 | self.model.i2c_read(self.now)
        self.model.i2c_stop(self.now)
        return word

    def write(self, pointer: int, word: int) -> None:
        assert self.model.i2c_start(False, self.now)
        assert all(self.model.i2c_write(b, self.now) for b in (pointer, word >> 8, word & 0xFF))
        self.model.i2c_stop(self.now)


@pytest.fixture
def wire() -> Wire:
    return Wire(TMP117(25.0))


def test_it_is_an_i2c_model(wire: Wire) -> None:
    assert isinstance(wire.model, I2cModel)


def test_values_after_power_up(wire: Wire) -> None:
    expected = {0x00: 0x8000, 0x01: 0x0220, 0x02: 0x6000, 0x03: 0x8000, 0x07: 0, 0x0F: 0x0117}
    assert {pointer: wire.read(pointer) for pointer in expected} == expected


def test_read_only_registers_stay(wire: Wire) -> None:
    wire.write(0x0F, 0)
    wire.write(0x00, 0)
    assert (wire.read(0x0F), wire.read(0x00)) == (0x0117, 0x8000)


def test_eight_conversions_make_the_first_result(wire: Wire) -> None:
    wire.wait_ms(120)
    assert wire.read(0x00) == 0x8000
    wire.wait_ms(6)
    assert wire.read(0x01) & 0x2000  # data ready
    assert wire.read(0x00) == 0x0C80
    assert not wire.read(0x01) & 0x2000


@pytest.mark.parametrize(
    ("configuration", "cycle_ms"),
    [(0x0220, 1000), (0x0020, 125), (0x0000, 16), (0x03A0, 16000), (0x0060, 1000), (0x0240, 1000)],
)
def test_conversion_cycles(wire: Wire, configuration: int, cycle_ms: int) -> None:
    wire.write(0x01, configuration)
    wire.wait_ms(1100)
    wire.read(0x00)
    wire.model.temperature = 50.0
    wire.wait_ms(cycle_ms)
    assert wire.read(0x00) == 50 * 128


def test_one_shot_converts_once_and_shutdown_never(wire: Wire) -> None:
    wire.write(0x01, 0x0C20)
    wire.wait_ms(130)
    assert wire.read(0x00) == 0x0C80
    assert wire.read(0x01) >> 10 & 3 == 1
    wire.model.temperature = 50.0
    wire.wait_ms(5000)
    assert wire.read(0x00) == 0x0C80


@pytest.mark.parametrize(("celsius", "flag"), [(81.0, 0x8000), (-21.0, 0x4000), (30.0, 0)])
def test_alert_flags(wire: Wire, celsius: float, flag: int) -> None:
    wire.write(0x02, 80 * 128)
    wire.write(0x03, -20 * 128 & 0xFFFF)
    wire.model.temperature = celsius
    wire.wait_ms(130)
    assert wire.read(0x01) & 0xC000 == flag
    assert wire.read(0x01) & 0xC000 == 0


def test_offset_and_soft_reset(wire: Wire) -> None:
    wire.write(0x07, 128)
    wire.wait_ms(130)
    assert wire.read(0x00) == 26 * 128
    wire.write(0x01, 0x0002)
    assert (wire.read(0x00), wire.read(0x01), wire.read(0x07)) == (0x8000, 0x0220, 0)


def test_the_ends_of_the_scale(wire: Wire) -> None:
    wire.model.temperature = 1000.0
    wire.wait_ms(130)
    assert wire.read(0x00) == 0x7FFF
    wire.model.temperature = -1000.0
    wire.wait_ms(1000)
    assert wire.read(0x00) == 0x8000


def test_absent_it_acknowledges_nothing(wire: Wire) -> None:
    wire.model.fault = "absent"
    assert not wire.model.i2c_start(False, 0)


def test_it_can_be_pickled_before_use() -> None:
    assert Wire(pickle.loads(pickle.dumps(TMP117(30.0)))).read(0x0F) == 0x0117
