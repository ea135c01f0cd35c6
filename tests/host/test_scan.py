"""A board's buses and pins asked for known parts: those that are there, strangers, a line held low, nothing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from quaver.board.repl import ConsoleBoard
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.cli import main
from quaver.desk.scan import Line, Report, scan
from quaver.emulator.bus import Attached
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.sensors.adxl345 import ADXL345
from quaver.emulator.sensors.ds18b20 import DS18B20
from quaver.emulator.sensors.sdm120 import SDM120
from quaver.emulator.sensors.tachometer import Tachometer
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


class Together:
    """Parts on one 1-Wire line: who pulls low wins."""

    def __init__(self, *parts: DS18B20) -> None:
        self.parts = parts

    def one_wire_reset(self, now: int) -> bool:
        return sum(part.one_wire_reset(now) for part in self.parts) > 0  # all of them take it

    @property
    def one_wire_answers(self) -> bool:
        return any(part.one_wire_answers for part in self.parts)

    def one_wire_read(self, now: int) -> int:
        return min(part.one_wire_read(now) for part in self.parts if part.one_wire_answers)

    def one_wire_write(self, bit: int, now: int) -> None:
        for part in self.parts:
            part.one_wire_write(bit, now)


@contextmanager
def started(*rig: Attached) -> Iterator[UnixBoard]:
    with ExitStack() as stack:
        board = stack.enter_context(UnixBoard(Setup(files=firmware_files("unix", {"node": "n1"}), rig=rig)))
        board.reset()
        yield board


def scanned(board: ConsoleBoard, **options: Any) -> Report:
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
        assert report.hints.keys() == {"uart0"}  # at which nothing is

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


def test_1_wire_lines_are_searched_and_told_apart() -> None:
    rig = (
        Attached("ds18b20", "gpio", 22, DS18B20(serial=0x1621D4A)),
        Attached("two", "gpio", 21, Together(DS18B20(serial=1), DS18B20(serial=2))),
        Attached("ds18s20", "gpio", 20, DS18B20(serial=3, family=0x10)),
        Attached("short", "gpio", 15, HeldLow()),
    )
    others = (4, 9, 16)  # nobody there; and no bus is asked
    files = {**firmware_files("pico_w", {"node": "n1"}), **device_libraries(load_board("pico_w"))}
    with Rp2040Board(Setup(files=files, rig=rig)) as board:
        report = scanned(board, one_wire=(22, 21, 20, 15, 14, *others))
    found = [place for place in report.places if place.rom]
    assert [(place.bus, place.rom) for place in found] == [
        ("gpio22", "28-000001621d4a"),
        ("gpio21", "28-000000000001"),
        ("gpio21", "28-000000000002"),
        ("gpio20", "10-000000000003"),
    ]
    assert found[0].settings == {"temperature": {"driver": "ds18b20", "bus": "gpio22"}}
    assert not any(place.settings for place in found[1:])
    assert "alone on its line" in found[1].heard and "another part answers (identity 0x10)" in found[3].heard
    assert "GPIO 15 held low" in report.hints["gpio15"] and "4.7 kOhm" in report.hints["gpio14"]
    assert report.hints["uart1"] == "not asked: its GPIO 9 is named for 1-Wire or pulses"
    assert "gpio22" not in report.hints


def test_pulses_are_counted_and_no_part_is_made_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with started(Attached("pulses", "gpio", 15, Tachometer(rpm=120.0))) as board:
        report = scanned(board, one_wire=(22,), pulses=(15, 14))
        assert report.hints["gpio22"] == "no 1-Wire on the unix board: emulate a Pico W"
        assert report.edges == {"gpio15": pytest.approx(20, abs=1), "gpio14": 0} and report.places == []
        assert report.hints["gpio14"].startswith(
            "0 edges in 5 s, high at the end: a machine at rest, or check the wire"
        )
        assert main(["scan", "--port", board.address, "--pulse", "15", "--baudrate", "2400"]) == 0
    assert "edges in 5 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--cs", "99"], "chip select 99: a unix has GPIO 0 to 29"),
        (["--onewire", "23"], "GPIO 23: a unix has GPIO 0, 1, 2"),
        (["--onewire", "22", "--pulse", "22"], "GPIO 22 is named for two things"),
    ],
)
def test_a_gpio_that_can_not_be_asked_is_refused(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with started() as board:
        assert main(["scan", "--port", board.address, *asked]) == 6
        assert board.alive() is None
    assert said in capsys.readouterr().err
