"""A board's buses asked for known parts: those that are there, strangers, a line held low, nothing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from quaver.build import firmware_files
from quaver.cli import main
from quaver.desk.scan import Line, Report, scan
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.adxl345 import ADXL345
from quaver.emulator.sensors.sdm120 import SDM120
from quaver.emulator.sensors.tmp117 import TMP117
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.plant.node import healthy_machine


class Stranger:
    """Acknowledges its address, and holds zeros."""

    def i2c_start(self, read: bool, now: int) -> bool:
        return True

    def i2c_write(self, value: int, now: int) -> bool:
        return True

    def i2c_read(self, now: int) -> int:
        return 0

    def i2c_stop(self, now: int) -> None: ...


class HeldLow:
    """A short from a line to ground."""

    def gpio_level(self, now: int) -> bool:
        return False

    def gpio_next(self, now: int) -> int:
        return now + 10**12


@contextmanager
def started(*rig: Attached) -> Iterator[UnixBoard]:
    with ExitStack() as stack:
        board = stack.enter_context(UnixBoard(Setup(files=firmware_files("unix", {"node": "n1"}), rig=rig)))
        board.reset()
        yield board


def scanned(board: UnixBoard, **options: Any) -> Report:
    with board.execs() as run:
        return scan(run, **options)


def test_parts_are_found_where_they_are_and_strangers_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with started(
        Attached("adxl345", "spi0", 20, ADXL345(healthy_machine())),
        Attached("tmp117", "i2c0", 0x49, TMP117()),
        Attached("stranger", "i2c0", 0x3C, Stranger()),
        Attached("another", "i2c0", 0x48, Stranger()),
        Attached("sdm120", "uart1", 0, SDM120(address=3, baudrate=9600, parity="even")),
    ) as board:
        report = scanned(board, selects=(20,), line=Line(addresses=(1, 3)))
        found = {(place.bus, *place.place.values()): place for place in report.places}
        assert found["spi0", 20].settings == {"vibration": {"driver": "adxl345", "bus": "spi0", "cs": 20}}
        assert found["i2c0", 0x49].settings == {"temperature": {"driver": "tmp117", "bus": "i2c0", "address": 0x49}}
        assert found["i2c0", 0x3C].drivers == found["i2c0", 0x48].drivers == ()
        assert "tmp117" in found["i2c0", 0x48].heard and "another part" in found["i2c0", 0x48].heard
        (meter,) = (place for place in report.places if place.bus == "uart1")
        assert "sdm120" in meter.drivers
        assert {"address": 3, "baudrate": 9600, "parity": "even"}.items() <= meter.settings["energy"].items()
        assert report.hints == {}

        assert main(["scan", "--port", board.address, "--address", "3", "--baudrate", "9600", "--cs", "20"]) == 0
        said = capsys.readouterr().out
        for part in ("cs GPIO 20", "adxl345", "0x49", "tmp117", "0x3c", "unknown", "address 3, 9600 baud, parity even"):
            assert part in said
        assert board.alive() is None


def test_a_line_that_is_held_low_is_told_and_nothing_else_is_said_of_its_bus() -> None:
    with started(Attached("tmp117", "i2c0", 0x48, TMP117()), Attached("short", "gpio", 4, HeldLow())) as board:
        report = scanned(board)
    assert not [place for place in report.places if place.bus == "i2c0"]
    assert report.hints["i2c0"].startswith("SDA (GPIO 4) held low")


def test_where_nothing_answers_the_wiring_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with started() as board:
        assert main(["scan", "--port", board.address, "--baudrate", "2400"]) == 1
    out, err = capsys.readouterr()
    assert "no known part answers" in err
    hints = {line.partition(":")[0]: line for line in out.splitlines()}
    assert "SCK at GPIO 18" in hints["spi0"] and "chip select at GPIO 17" in hints["spi0"]
    assert "SDA at GPIO 4" in hints["i2c0"] and "nothing pulls SCL and SDA up" in hints["i2c0"]
    assert "no answer at 2400 baud" in hints["uart1"] and "TX at GPIO 8" in hints["uart1"]


def test_a_board_without_the_firmware_is_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with UnixBoard(Setup()) as board:
        assert main(["scan", "--port", board.address]) == 101
    assert "quaver sync" in capsys.readouterr().err


def test_a_gpio_that_the_board_has_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with started() as board:
        assert main(["scan", "--port", board.address, "--cs", "99"]) == 6
        assert board.alive() is None
    assert "chip select 99: a unix has GPIO 0 to 29" in capsys.readouterr().err
