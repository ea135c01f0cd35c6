"""A change of firmware that was committed when the power went, completed by the start that follows."""

import pytest

from quaver.board.interface import Board
from tests.waiting import wait_until

PLAN = "rename\t/synced.new\t/synced\nrename\t/gone.new\t/gone\nremove\t/old/file\nrmdir\t/old\nremove\t/never"


@pytest.mark.needs_flash
def test_a_committed_change_is_completed_when_the_board_starts(board: Board) -> None:
    board.put("old/file", b"old")
    board.put("synced", b"old")
    board.put("synced.new", b"new")
    board.put("sync.plan", PLAN.encode())
    # An interrupted start runs boot.py on a microcontroller; on the unix board it runs nothing.
    board.reset(run=board.board == "unix")
    wait_until(lambda: board.board != "unix" or board.console().endswith(b">>> "), board)
    names = ("old", "synced", "synced.new", "sync.plan")
    code = f"import os\nprint([name for name in {names} if name in os.listdir('/')], open('/synced').read())"
    assert board.exec(code) == "['synced'] new\n"
    assert board.exec("print('_complete' in globals())") == "False\n"
    board.exec("os.remove('/synced')")
