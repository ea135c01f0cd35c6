"""Every driver on its bus of a board that runs; an emulated one carries the register models."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.accelerometers import Accelerometer
from quaver.emulator.sensors.modbus_meter import REGISTERS
from tests.programs import program

pytestmark = pytest.mark.each_chip

PORT = program(__file__, "port")

IIS3DWB = program(__file__, "iis3dwb")

ADXL345 = program(__file__, "adxl345")

ADXL355 = program(__file__, "adxl355")

CAPTURE = program(__file__, "capture")

TMP117 = program(__file__, "tmp117")

TEMPERATURE = program(__file__, "temperature")

ENERGY = program(__file__, "energy")


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


@pytest.mark.parametrize(
    ("settings", "milli"),
    [
        pytest.param({"driver": driver, **settings}, milli, marks=pytest.mark.needs_sensor(driver))
        for driver, settings, milli in (
            ("sht4x", {"bus": "i2c0", "address": 0x44}, 24_998),
            ("max31865", {"bus": "spi0", "cs": 2, "wires": 3, "reference_ohm": 430}, 24_988),
            ("ds18b20", {"bus": "gpio22"}, 25_000),  # the pulses of a real 1-Wire line
        )
    ],
)
def test_a_thermometer_that_takes_its_time(board: Board, settings: dict[str, Any], milli: int) -> None:
    first, last = ask(board, f"settings = {settings}\n" + TEMPERATURE)  # type: ignore[misc]
    assert first == last == pytest.approx(milli, abs=20)


def meter(driver: str, address: int, registers: Any = None) -> str:
    settings = {"driver": driver, "bus": "uart1", "address": address, "baudrate": 0, "parity": "none", "de_pin": -1}
    given = f"sensors.registers({registers!r}, [])" if registers else None
    return f"from build import sensors\nsettings = {settings}\nsettings['registers'] = {given}\n"


@pytest.mark.parametrize(
    ("driver", "address"),
    [pytest.param(*row, marks=pytest.mark.needs_sensor(row[0])) for row in (("sdm120", 1), ("sdm630", 2))],
)
def test_the_meter_answers_over_modbus(board: Board, driver: str, address: int) -> None:
    found = ask(board, meter(driver, address) + ENERGY)
    voltage, current, power, apparent, factor, frequency, energy = found  # type: ignore[misc]
    assert 100_000 < voltage < 260_000
    assert power == pytest.approx(apparent * factor / 1000, abs=50)
    assert apparent == pytest.approx(voltage * current / 1000, rel=0.01)
    assert 45_000 < frequency < 65_000
    assert energy >= 0


@pytest.mark.needs_sensor("modbus")
def test_a_meter_by_its_registers(board: Board) -> None:
    found = ask(board, meter("modbus", 3, REGISTERS) + ENERGY)
    voltage, current, power, _, _, _, energy = found  # type: ignore[misc]
    assert (voltage, current, power) == (230_000, None, 414_000)
    assert energy >= 100_000
