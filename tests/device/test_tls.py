"""TLS on the chip: a session with the broker of docs/mosquitto.md, and a plain word where memory does not reach."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.pytest_plugin import Target
from tests.programs import program

sys.path.append(str(Path(__file__).resolve().parents[1] / "host"))
from example_broker import lay_out

pytestmark = [pytest.mark.needs_radio, pytest.mark.each_chip]


def test_a_session_comes_about_or_says_that_memory_is_short(
    start_board: Callable[..., Board], board_target: Target, start_mosquitto: Callable[[str], Any], tmp_path: Path
) -> None:
    host = "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1"
    settings = lay_out(tmp_path / "etc", {"pump-7": "secret"}, f"IP:{host}")
    broker = start_mosquitto(settings)
    files = {path: data for path, data in firmware_files(board_target.board).items() if path != "main.py"}
    files["ca.pem"] = (tmp_path / "etc" / "ca.crt").read_bytes()
    board = start_board(files=files, broker_port=broker.port)
    said = board.exec(program(__file__, "session", host=host), timeout=120).strip().splitlines()
    refused, restarts, up, took_ms, taken = said
    assert refused.startswith("TLS does not fit memory: ")
    assert int(restarts) == (board_target.board == "esp32_c3")  # after 20 refusals
    assert up == "up"
    assert int(took_ms) < 6000  # of the watchdog's 8.3 s
    assert int(taken) < 30000
