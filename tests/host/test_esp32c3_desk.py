"""What a person at a desk does with a node, on an emulated ESP32-C3: console, files, firmware, doctor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.cli import main
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.setup import Setup
from quaver.plant.node import healthy_machine, standard_rig
from tests.waiting import wait_until


@pytest.fixture
def board(mosquitto: Any) -> Iterator[Esp32C3Board]:
    wifi = {"wifi": {"ssid": "quaver", "password": "emulated"}, "broker": {"host": "10.0.0.1", "port": 1883}}
    files = firmware_files("esp32_c3", {"node": "n1", **wifi}) | device_libraries(load_board("esp32_c3"))
    setup = Setup(files=files, rig=standard_rig(healthy_machine()), broker_port=mosquitto.port)
    with Esp32C3Board(setup) as board:
        yield board


@pytest.mark.nightly
def test_mpremote_sync_doctor_and_reset(board: Esp32C3Board, capsys: pytest.CaptureFixture[str]) -> None:
    port = ["--port", board.address]
    assert main(["doctor", *port]) == 0, capsys.readouterr()
    assert "iis3dwb on spi0" in capsys.readouterr().out
    files = firmware_files("esp32_c3")
    pack = next(path for path in files if path.startswith("code/dsp."))
    board.put(pack, b"not what belongs here")
    assert main(["sync", *port]) == 0, capsys.readouterr()
    assert "1 of " in (said := capsys.readouterr().out) and pack in said
    assert board.get(pack) == files[pack]
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.address, "exec", "print(6 * 7)"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["42"]), done.stderr
    before = board.console().count(b"node: quaver")
    assert main(["reset", *port]) == 0, capsys.readouterr()
    wait_until(lambda: board.console().count(b"node: quaver") > before, board, "its start")
