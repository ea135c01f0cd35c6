"""Every driver on its bus of a board that runs; an emulated one carries the register models."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.board.interface import Board
from quaver.build import own_drivers
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.accelerometers import Accelerometer
from quaver.emulator.sensors.ads131m02 import ADS131M02, wired
from quaver.emulator.sensors.iis3dwb import IIS3DWB as VibrationModel
from quaver.emulator.sensors.modbus_meter import REGISTERS
from quaver.files.carried import payload
from quaver.pytest_plugin import Target
from quaver.recordings.sources import MotorCurrent
from quaver_wire.fields import EVENTS, QUALITY
from tests.programs import program

from .conftest import Client

pytestmark = pytest.mark.each_chip

PORT = program(__file__, "port")

IIS3DWB = program(__file__, "iis3dwb")

ADXL345 = program(__file__, "adxl345")

ADXL355 = program(__file__, "adxl355")

ADC = program(__file__, "ads131m02")

CURRENT = program(__file__, "current")

CAPTURE = program(__file__, "capture")

TMP117 = program(__file__, "tmp117")

TEMPERATURE = program(__file__, "temperature")

ENERGY = program(__file__, "energy")


class Sine:
    """Of peak_g and 250 Hz on each axis."""

    def __init__(self, peak_g: float) -> None:
        self.peak_g = peak_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        z = self.peak_g * np.sin(2 * np.pi * 250 / rate_hz * np.arange(first, first + count))
        return np.repeat(z, 3).reshape(count, 3).astype(np.float32)


def ask(board: Board, code: str, timeout: float = 60.0) -> object:
    return ast.literal_eval(board.exec(PORT + code, timeout=timeout).strip())


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


@pytest.mark.nightly_on("rp2040:", "esp32_c3:")  # whose way over I2C the test before shows
def test_an_accelerometer_of_a_row_gives_a_block_at_its_rate_on_i2c(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    board = start_board(files=board_files, rig=(Attached("adxl355", "i2c0", 0x1D, Accelerometer("adxl355")),))
    rate, dropped, low, high = ask(board, ADXL355 + CAPTURE)  # type: ignore[misc]
    assert rate == pytest.approx(2_000, rel=0.01)
    assert dropped == 0
    assert -50 < low < 0 < high < 50  # its noise of 0.7 mg, in 250 ug


def test_an_adc_whose_interrupt_reads_each_sample_gives_a_block_at_its_rate(
    start_board: Callable[..., Board],
    board_files: Mapping[str, bytes],
    board_target: Target,
) -> None:
    files = {**board_files, **own_drivers(payload("firmware", "extra"), board_target.board)}
    board = start_board(files=files, rig=wired(ADS131M02(Sine(3.0)), "spi0", "spi0_cs", 3))
    if board_target.board == "esp32_c3":
        assert ask(board, ADC) == "an ESP32's interrupts wait for the capture's end: use an RP2040"
        return
    rate, dropped, low, high = ask(board, ADC + CAPTURE)  # type: ignore[misc]
    assert rate == pytest.approx(8_000, rel=0.001)
    assert dropped == 0
    assert -low == high == pytest.approx(3.0 / 12 * 32768, abs=2)


NO_INTERRUPT = "an ESP32's interrupts wait for the capture's end: use an RP2040"


def refusal(client: Client) -> Any:
    """What a node says first of its configuration."""
    invalid = EVENTS.index("config_invalid")
    return client.wait(lambda c: [e["text"] for e in c.of("event") if e["code"] == invalid], "the refusal")[0]


@pytest.mark.any_board
@pytest.mark.needs_radio
def test_a_node_measures_with_an_analog_accelerometer_and_tells_where_the_adc_is_overdriven(
    start_node: Callable[..., Board], client: Client, board_target: Target
) -> None:
    given = {"driver": "ads131m02", "drdy_pin": 3, "sensitivity_mv_g": 40, "range_g": 10, "samples": 1024}
    own = own_drivers(payload("firmware", "extra"), board_target.board)
    rig = wired(ADS131M02(Sine(3.0), mv_per_g=40), "spi0", "spi0_cs", 3)
    board = start_node(rig, {"interval_s": 1, "vibration": given}, own)
    if board_target.board == "esp32_c3":
        assert refusal(client) == f"vibration: {NO_INTERRUPT}"
        return
    record = client.wait(lambda c: [r for r in c.of("telemetry") if "rms_g" in r], "a measurement")[0]
    assert record["rms_g"] == pytest.approx(3.0 / 2**0.5, rel=0.01)
    assert (record["quality"], record["dropped"]) == (0, 0)
    board.set_sensor("ads131m02", source=Sine(17.0))  # gain 2 ends at 15 g
    clipped = 1 << QUALITY.index("clipped")
    client.wait(lambda c: [r for r in c.of("telemetry") if r["quality"] == clipped], "a mark")


def motor(level_db: float | None) -> tuple[Attached, ...]:
    """A clamp about a motor with such sidebands at ±3 Hz, beside an accelerometer."""
    part = ADS131M02(MotorCurrent(8.0, 59.97, slip=0.025, sidebands_db=level_db), mv_per_g=1000 / 30)
    return Attached("iis3dwb", "spi0", "spi0_cs", VibrationModel(Sine(3.0))), *wired(part, "spi0", 20, 3)


@pytest.mark.nightly_on("rp2040:")  # where the ADC's interrupts are shown above, at eight times this rate
def test_a_clamp_gives_a_motors_current_between_two_measurements_of_vibration(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes], board_target: Target
) -> None:
    files = {**board_files, **own_drivers(payload("firmware", "extra"), board_target.board)}
    found: Any = ask(start_board(files=files, rig=motor(-45.0)), CURRENT, timeout=180.0)
    if board_target.board == "esp32_c3":
        assert found == NO_INTERRUPT
        return
    values, marks, before, after, turns, rate, dropped = found
    assert values["current_a"] == pytest.approx(8.005, rel=0.005)
    assert values["line_hz"] == pytest.approx(59.97, abs=0.02)
    assert values["sidebands"] == [pytest.approx(3.0, abs=0.05), pytest.approx(-45, abs=0.5), pytest.approx(-80, abs=8)]
    assert (marks, dropped) == ([], 0)
    assert rate == pytest.approx(1000, rel=0.001)
    assert before == pytest.approx(after, rel=0.01) == pytest.approx(3.0 / 2**0.5, rel=0.01)
    assert turns > 30  # others run while it takes its 4 s


@pytest.mark.any_board
@pytest.mark.needs_radio
def test_a_nodes_record_has_the_current_beside_the_vibration(
    start_node: Callable[..., Board], client: Client, board_target: Target
) -> None:
    given = {
        "current": {"cs": 20, "drdy_pin": 3, "a_per_v": 30, "line_hz": 60},
        "limits": {"current": [7, 20]},
        "alarm": {"count": 1, "of": 1},
    }
    start_node(motor(None), {"interval_s": 1, **given}, own_drivers(payload("firmware", "extra"), board_target.board))
    if board_target.board == "esp32_c3":
        assert refusal(client) == f"current: {NO_INTERRUPT}"
        return
    record = client.wait(lambda c: [r for r in c.of("telemetry") if "current_a" in r], "a measurement")[0]
    assert record["rms_g"] == pytest.approx(3.0 / 2**0.5, rel=0.01)
    assert record["current_a"] == pytest.approx(8.005, rel=0.005)
    assert record["line_hz"] == pytest.approx(59.97, abs=0.02)
    assert record["sidebands"][:2] == [None, None]
    assert (record["quality"], record["dropped"], record["level"]) == (0, 0, 1)
    warned = client.wait(lambda c: [e for e in c.of("event") if e["subject"] == "current"], "a warning")[0]
    assert (warned["value"], warned["limit"]) == (pytest.approx(8.005, rel=0.005), 7)


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
    voltage, current, power, apparent, factor, frequency, energy, *phases = found  # type: ignore[misc]
    assert 100_000 < voltage < 260_000
    assert power == pytest.approx(apparent * factor / 1000, abs=50)
    assert apparent == pytest.approx(voltage * current / 1000, rel=0.01)
    assert 45_000 < frequency < 65_000
    assert energy >= 0
    assert len(phases) == (9 if driver == "sdm630" else 0)
    if phases:  # L1 to L3, in one request
        assert sum(phases[3:6]) == pytest.approx(current, abs=50)
        assert sum(phases[6:]) == pytest.approx(power, rel=0.01)


@pytest.mark.needs_sensor("modbus")
def test_a_meter_by_its_registers(board: Board) -> None:
    found = ask(board, meter("modbus", 3, REGISTERS) + ENERGY)
    voltage, current, power, _, _, _, energy = found  # type: ignore[misc]
    assert (voltage, current, power) == (230_000, None, 414_000)
    assert energy >= 100_000
