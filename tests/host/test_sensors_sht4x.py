"""The SHT4x model, byte by byte, against the datasheet's commands, times and checksums."""

import pickle

import pytest

from quaver.emulator.bus import I2cModel
from quaver.emulator.sensors.sht4x import SHT4x


class Wire:
    def __init__(self, model: SHT4x) -> None:
        self.model = model
        self.now = 0

    def write(self, command: int) -> bool:
        return self.model.i2c_start(False, self.now) and self.model.i2c_write(command, self.now)

    def read(self, count: int = 6) -> bytes | None:
        if not self.model.i2c_start(True, self.now):
            return None
        return bytes(self.model.i2c_read(self.now) for _ in range(count))


@pytest.fixture
def wire() -> Wire:
    return Wire(SHT4x(25.0, 50.0))


def test_it_is_an_i2c_model(wire: Wire) -> None:
    assert isinstance(wire.model, I2cModel)


@pytest.mark.parametrize(("command", "ms"), [(0xFD, 8.3), (0xF6, 4.5), (0xE0, 1.6)])
def test_it_acknowledges_nothing_while_it_measures(wire: Wire, command: int, ms: float) -> None:
    assert wire.write(command)
    wire.now += round(ms * 1e6) - 1
    assert wire.read() is None
    wire.now += 1
    assert wire.read() == bytes.fromhex("6666 93 72b0 dc")  # 70/175 and 56/125 of the scale
    assert wire.read() is None  # a result is read once


def test_the_checksum_of_the_datasheets_example() -> None:
    from quaver.emulator.sensors.sht4x import _words

    assert _words(0xBEEF) == b"\xbe\xef\x92"


def test_the_serial_number_stays_and_an_unknown_command_is_refused(wire: Wire) -> None:
    assert wire.write(0x89)
    first = wire.read()
    assert wire.write(0x89) and wire.read() == first
    assert not wire.write(0x24)  # a SHT3x's


def test_faults(wire: Wire) -> None:
    wire.write(0xFD)
    wire.now += 10_000_000
    first = wire.read(3)
    wire.model.fault = "stuck"
    wire.model.temperature = 60.0
    wire.write(0xFD)
    wire.now += 10_000_000
    assert wire.read(3) == first
    wire.model.fault = "range"
    wire.write(0xFD)
    wire.now += 10_000_000
    assert wire.read(2) == b"\xff\xff"
    wire.model.fault = "absent"
    assert not wire.write(0xFD)


def test_it_can_be_pickled_before_use() -> None:
    assert Wire(pickle.loads(pickle.dumps(SHT4x()))).write(0xFD)
