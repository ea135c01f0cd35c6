"""Every driver on its bus of a board that runs; an emulated one carries the register models."""

import ast
from collections.abc import Callable, Mapping

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.accelerometers import Accelerometer
from tests.programs import program

pytestmark = pytest.mark.each_chip

PORT = program(__file__, "port")

IIS3DWB = program(__file__, "iis3dwb")

ADXL345 = program(__file__, "adxl345")

ADXL355 = program(__file__, "adxl355")

CAPTURE = program(__file__, "capture")

TMP117 = program(__file__, "tmp117")

SDM120 = program(__file__, "sdm120")


def ask(board: Board, code: str) -> object:
    return ast.literal_eval(board.exec(PORT + code, timeout=60.0).strip())


@pytest.mark.needs_sensor("iis3dwb")
def test_the_accelerometer_on_spi_gives_a_block_at_its_rate(board: Board) -> None:
    rate, dropped, low, high = ask(board, IIS3DWB + CAPTURE)  # type: ignore[misc]
    assert rate == pytest.approx(26_667, rel=0.01)
    assert dropped == 0
    assert low < 0 < high


@pytest.mark.needs_sensor("adxl345")
def test_the_accelerometer_on_i2c_gives_a_block_at_its_rate(board: Board) -> None:
    rate, dropped, low, high = ask(board, ADXL345 + CAPTURE)  # type: ignore[misc]
    assert rate == pytest.approx(1_600, rel=0.01)
    assert dropped == 0
    assert low < high


def test_an_accelerometer_of_a_row_gives_a_block_at_its_rate_on_i2c(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    board = start_board(files=board_files, rig=(Attached("adxl355", "i2c0", 0x1D, Accelerometer("adxl355")),))
    rate, dropped, low, high = ask(board, ADXL355 + CAPTURE)  # type: ignore[misc]
    assert rate == pytest.approx(2_000, rel=0.01)
    assert dropped == 0
    assert -50 < low < 0 < high < 50  # its noise of 0.7 mg, in 250 ug


@pytest.mark.needs_sensor("tmp117")
def test_the_thermometer_reads_without_allocating(board: Board) -> None:
    assert -20_000 < ask(board, TMP117) < 60_000  # type: ignore[operator]


@pytest.mark.needs_sensor("sdm120")
def test_the_meter_answers_over_modbus(board: Board) -> None:
    voltage, current, power, apparent, factor, frequency, energy = ask(board, SDM120)  # type: ignore[misc]
    assert 100_000 < voltage < 260_000
    assert power == pytest.approx(apparent * factor / 1000, abs=50)
    assert apparent == pytest.approx(voltage * current / 1000, rel=0.01)
    assert 45_000 < frequency < 65_000
    assert energy >= 0
