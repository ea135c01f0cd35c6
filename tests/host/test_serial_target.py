"""The serial way of the device tests, proved against emulated boards: their pty stands for a board's USB port."""

import subprocess
import sys
from pathlib import Path

import pytest

from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.pytest_plugin import default_rig

ROOT = Path(__file__).resolve().parents[2]
TESTS = ["tests/device/test_board.py", "tests/device/test_sensors.py", "tests/device/test_capture.py"]
SENSORS = ("iis3dwb", "adxl345", "tmp117", "sdm120")


def device_tests(target: str, *sensors: str) -> str:
    """The summary line of the device tests, run on `target` by a pytest of their own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--target", target, *TESTS]
    for sensor in sensors:
        command += ["--sensor", sensor]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize("where", ["unix:", pytest.param("rp2040:", marks=pytest.mark.nightly)])
def test_the_device_tests_run_over_a_serial_port(where: str) -> None:
    from quaver.emulator.rp2040 import Rp2040Board
    from quaver.emulator.unix import UnixBoard

    kind, board = {"unix:": (UnixBoard, "unix"), "rp2040:": (Rp2040Board, "pico_w")}[where]
    files = {path: data for path, data in firmware_files(board).items() if path != "main.py"}
    with kind(Setup(files=files, rig=default_rig())) as emulated:
        summary = device_tests(f"serial:{emulated.open_pty()}", *SENSORS)
    # all but what wants a second board, or a network that comes and goes: a serial port can't have them; and five parts
    assert summary.startswith("8 passed, 12 skipped"), summary


def test_a_sensor_that_the_board_lacks_is_a_skip_with_its_reason() -> None:
    from quaver.emulator.unix import UnixBoard

    files = {path: data for path, data in firmware_files("unix").items() if path != "main.py"}
    with UnixBoard(Setup(files=files)) as emulated:
        summary = device_tests(f"serial:{emulated.open_pty()}")
    assert summary.startswith("3 passed, 17 skipped"), summary
