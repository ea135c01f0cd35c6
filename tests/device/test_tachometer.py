"""The shaft's speed from a pin that interrupts: beside a capture that owns the processor, and in a node's verdict."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.tachometer import Tachometer
from quaver.pytest_plugin import Target
from quaver.recordings.sources import Playlist
from quaver_wire.fields import EVENTS, FAULTS
from tests.programs import program

from .conftest import Client, signal

PIN = 2
CAPTURE = Path(__file__).with_name("programs").joinpath("capture.py").read_text()
WHILE_CAPTURING = program(__file__, "while_capturing")


def test_the_speed_is_right_while_a_capture_runs_and_costs_it_nothing(
    board_target: Target, start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    if board_target.board == "esp32_c3":
        pytest.skip("refused there: see the next test")
    # 1,797 1/min and 8 marks: 37 edges in the 154 ms of the capture.
    model = Tachometer(1797, 8, jitter=0.01)
    rig = (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),
        Attached("tachometer", "gpio", PIN, model),
    )
    board = start_board(files=board_files, rig=rig)
    speed, dropped, rate = ast.literal_eval(board.exec(CAPTURE + WHILE_CAPTURING).strip())
    assert speed == pytest.approx(1797 / 60, rel=0.002)
    assert dropped == 0
    assert rate == pytest.approx(26667, rel=0.001)
    board.set_sensor("tachometer", fault="absent")
    a_look = "tachometer.begin()\ntime.sleep_ms(60)\nprint(tachometer.turns_hz())"
    assert board.exec(a_look).strip() == "None"
    board.set_sensor("tachometer", fault=None, rpm=3000)
    board.exec("time.sleep_ms(60)")
    assert float(board.exec(a_look)) == pytest.approx(50, rel=0.02)


@pytest.mark.needs_radio
@pytest.mark.each_chip
def test_a_chip_without_interrupts_at_once_says_so_and_measures(
    board_target: Target, start_node: Callable[..., Board], client: Client
) -> None:
    """MicroPython's ESP32 port defers a pin's handler, and knows no hard one: the times would be no pulses'."""
    if board_target.board != "esp32_c3":
        pytest.skip(f"{board_target}: has such interrupts")
    rig = (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),
        Attached("tachometer", "gpio", PIN, Tachometer(1797, 8)),
    )
    brief = {"vibration": {"samples": 1024}}
    start_node(rig, {"interval_s": 1, **brief, "machine": {"rpm": 1480, "tachometer_pin": PIN}})
    told = client.wait(lambda c: [e for e in c.of("event") if EVENTS[e["code"]] == "config_invalid"], "the refusal")
    assert told[0]["text"].startswith("machine.tachometer_pin: an ESP32's interrupts wait")
    record = client.wait(lambda c: [r for r in c.of("telemetry") if "rms_g" in r], "a measurement")[0]
    assert record["shaft_confidence"] < 1  # 1 is a tachometer's


@pytest.mark.needs_radio
def test_a_wrong_speed_in_the_configuration_does_not_matter_with_a_tachometer(
    start_node: Callable[..., Board], client: Client, board_target: Any
) -> None:
    if board_target.where != "unix:":
        pytest.skip("whole measurements, whose way through the chip the other tests cover")
    rig = (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(Playlist([(signal("normal"), 3), (signal("ir021"), None)]))),
        Attached("tachometer", "gpio", PIN, Tachometer(1797, 2)),
    )
    machine = {"rpm": 1480, "bearing": "6205", "learn": 3, "tachometer_pin": PIN, "tachometer_pulses": 2}
    board = start_node(rig, {"interval_s": 1, "vibration": {"samples": 32768}, "machine": machine})
    fault = client.wait(lambda c: [e for e in c.of("event") if EVENTS[e["code"]] == "fault"], "the name of the fault")
    assert fault[0]["subject"] == "inner race"
    named = client.wait(lambda c: [r for r in c.of("telemetry") if "fault" in r], "a record of it")[0]
    assert FAULTS[named["fault"]] == "inner race"
    assert named["shaft_hz"] == pytest.approx(1797 / 60, rel=1e-4)
    assert named["shaft_confidence"] == 1.0
    assert named["lines"][5] == pytest.approx(5.4152 * 1797 / 60, rel=0.015)  # BPFI
    # Torn off, it leaves what the spectrum shows near the configured speed: nothing, so no race is named any more.
    board.set_sensor("tachometer", fault="absent")
    alone = client.wait(
        lambda c: [r for r in c.of("telemetry") if r.get("shaft_confidence", 1) < 1 and "fault" not in r],
        "a record without",
    )[0]
    assert alone["shaft_confidence"] < 0.5
    assert alone["abstained"] == "the speed is not certain"
    failed = client.wait(lambda c: [e for e in c.of("event") if e.get("subject") == "tachometer"], "why")
    assert (EVENTS[failed[0]["code"]], failed[0]["reason"]) == ("sensor_failed", [210])
    board.set_sensor("tachometer", fault=None)
    client.wait(
        lambda c: [e for e in c.of("event") if EVENTS[e["code"]] == "sensor_recovered"], "the tachometer's recovery"
    )
    assert len([e for e in client.of("event") if e.get("subject") == "tachometer"]) == 2
