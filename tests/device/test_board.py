"""What any board gives: a prompt, files that survive a reset, a radio that joins."""

import pytest

from quaver.board.interface import Board
from quaver.pytest_plugin import Target
from tests.programs import program

pytestmark = pytest.mark.each_chip

JOIN = program(__file__, "join")


def test_code_runs_and_its_output_comes_back(board: Board) -> None:
    assert board.exec("print(6 * 7)").strip() == "42"


@pytest.mark.needs_flash
def test_a_file_survives_a_reset_and_memory_does_not(board: Board) -> None:
    data = bytes(range(256)) * 5
    board.exec("kept = 1")
    board.put("kept.bin", data)
    board.reset()  # no main.py is there; boot.py makes the modules be found again
    assert board.get("kept.bin") == data
    assert board.exec("print('kept' in globals())").strip() == "False"
    board.exec("import os; os.remove('kept.bin')")
    board.reset()  # boot.py, which such a reset passes over on a unix board, mounts the firmware's packs


@pytest.mark.needs_radio("wifi")
@pytest.mark.nightly_on("rp2040:")  # a node joins there in test_node.py
def test_the_radio_joins_a_network(board: Board) -> None:
    assert board.exec(JOIN, timeout=60.0).strip() == "True"


@pytest.mark.needs_radio("wifi")
def test_the_radio_says_why_it_joins_nothing_and_joins_at_once_when_it_can(board: Board, board_target: Target) -> None:
    """An ESP32 says for a while why the attempt before failed."""
    if board_target.where not in ("unix:", "esp32_c3:"):
        pytest.skip(f"{board_target}: the network around it is always there")
    for change, said in (
        ({"ssid": "quaver", "password": "emulated", "present": False}, "wifi no such network"),
        ({}, "wifi no such network"),
        ({"present": True, "password": "another"}, "wifi wrong password"),
        ({"password": "emulated"}, "True"),
    ):
        board.set_sensor("wifi", **change)
        assert board.exec(JOIN, timeout=60.0).strip() == said
    board.set_sensor("wifi", ssid=None, password=None)
