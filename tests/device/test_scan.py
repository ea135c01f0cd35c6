"""The parts of a board's rig answer a scan, on the buses of each kind of board."""

import pytest

from quaver.board.interface import Board
from quaver.board.repl import ConsoleBoard
from quaver.desk.scan import scan

PARTS = {("spi0", "iis3dwb"), ("i2c0", "tmp117"), ("i2c0", "adxl345"), ("uart1", "sdm120")}


@pytest.mark.needs_sensor("sdm120")
def test_a_scan_finds_the_parts_of_the_rig(board: Board) -> None:
    assert isinstance(board, ConsoleBoard)
    with board.execs() as run:
        report = scan(run)
    assert {(place.bus, driver) for place in report.places for driver in place.drivers} >= PARTS
