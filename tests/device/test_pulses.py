"""A pulse counter at a board that runs: no pulse is lost beside a capture; and in a node's records."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.tachometer import Tachometer
from quaver.pytest_plugin import Target
from tests.programs import program

from .conftest import Client

COUNT = program(__file__, "count")
# pulses a second that no board loses; docs/pulses.md has what the Pico W and the ESP32-C3 were seen to take
RATE_HZ = {"unix:": 50, "rp2040:": 1000, "esp32_c3:": 50}
PIN = 2


@pytest.mark.each_chip
def test_no_pulse_is_lost_beside_a_capture(
    board_target: Target, start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    rate = RATE_HZ.get(board_target.where, 50)
    source = Tachometer(rpm=60.0 * rate)
    rig = (Attached("pulses", "gpio", PIN, source), Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB()))
    board = start_board(files=board_files, rig=rig)
    given = f"settings = {{'bus': 'gpio{PIN}', 'driver': 'pulses', 'width_ms': {5 if rate == 50 else 0}}}\n"
    seconds, counted, dropped = ast.literal_eval(board.exec(given + COUNT, timeout=60.0).strip())
    assert seconds > 0.5 and dropped == 0
    assert counted == pytest.approx(seconds * rate, abs=1.5)


@pytest.mark.needs_radio
@pytest.mark.nightly_on("rp2040:")
def test_a_node_counts_and_tells_what_its_pulses_are_worth(start_node: Callable[..., Board], client: Client) -> None:
    energy: dict[str, Any] = {"driver": "pulses", "bus": f"gpio{PIN}", "pulses_per_kwh": 1000}
    rig = (Attached("pulses", "gpio", PIN, Tachometer(rpm=600.0)),)  # 10 a second: 36 kW
    start_node(rig, {"interval_s": 2, "vibration": None, "energy": energy})

    def powered(_: Client) -> list[list[float]]:
        return [found["energy"] for found in client.of("telemetry") if (found.get("energy") or [None] * 7)[2]]

    values = client.wait(powered, "a power")[0]
    assert values[2] == pytest.approx(36_000, rel=0.01)
    assert values[6] > 0
