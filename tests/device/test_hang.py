"""A task that hangs for real costs a reset by the watchdog, and the next boot tells which task that was, and where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.tmp117 import TMP117
from quaver.errors import QuaverError
from quaver.pytest_plugin import Target
from quaver_wire.fields import EVENTS

from .conftest import Client
from .plant import BRANCH, HOSTS, lines

pytestmark = pytest.mark.needs_radio
PROGRAM = Path(__file__).with_name("programs") / "hang.py"


@pytest.mark.parametrize(
    ("hang", "task", "what"),
    [
        pytest.param("busy", "measure", "held the processor: temperature", marks=pytest.mark.nightly_on("rp2040:")),
        pytest.param("waits", "publish", "made no progress: connecting", marks=pytest.mark.any_board),
    ],
)
def test_the_boot_after_a_hang_tells_who_hung_and_where(
    board_target: Target,
    start_board: Callable[..., Board],
    mosquitto: Any,
    client: Client,
    hang: str,
    task: str,
    what: str,
) -> None:
    config = {
        **BRANCH,
        "node": "n1",
        "interval_s": 2,
        "watchdog_s": 30,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": HOSTS[board_target.where], "port": 1883},
        "temperature": {"driver": "tmp117", "bus": "i2c0", "address": 0x48},
        "vibration": None,
        "energy": None,
    }
    files = dict(firmware_files(board_target.board, config))
    files["main.py"] = PROGRAM.read_bytes() + files["main.py"]
    files[hang] = b""
    board = start_board(files=files, rig=(Attached("tmp117", "i2c0", 0x48, TMP117(21.5)),), broker_port=mosquitto.port)
    (told,) = client.wait(lambda c: [e for e in c.of("event") if EVENTS[e["code"]] == "hung"], "the event")
    assert (told["subject"], told["text"]) == (task, what)
    boot = next(e for e in client.of("event") if EVENTS[e["code"]] == "boot" and e["boot"] == told["boot"])
    assert boot["text"] == "WDT_RESET"
    assert lines(board, "node: reset by the watchdog") == [f"node: reset by the watchdog: {task} {what}"]

    board.reset()
    client.wait(
        lambda c: max(r["boot"] for r in c.of("telemetry") or [told]) > told["boot"], "a record of the next boot"
    )
    again = {(e["boot"], e["seq"]) for e in client.of("event") if e["code"] == told["code"]}
    assert again == {(told["boot"], told["seq"])}  # told once


def test_a_restart_on_purpose_is_no_hang(board_target: Target, start_board: Callable[..., Board]) -> None:
    files = {path: data for path, data in firmware_files(board_target.board).items() if path != "main.py"}
    board = start_board(files=files)
    locked = "micropython.heap_lock()\nmark(77)\nmicropython.heap_unlock()\nprint(port._kept().get())"
    code = f"import board, hal, micropython\nport = hal.port(board)\nmark = port.watchdog().mark\n{locked}"
    assert board.exec(code).strip() == "77"
    with pytest.raises(QuaverError):
        board.exec("import machine\nmachine.reset()", timeout=2.0)
    assert board.exec("import board, hal\nprint(hal.port(board).mark())").strip() == "0"
