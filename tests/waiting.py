"""Waiting in tests: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from quaver.board.interface import Board

PATIENCE_S = 240.0  # for a busy machine; nothing waits this long when all is well
_LOOK_S = 0.03  # a console, a file and another process have no event to wait for


def wait_until(condition: Callable[[], Any], board: Board | None = None, what: str = "") -> Any:
    """What `condition` returns once it is true; fails the test when it does not come true.

    board: its end fails the test at once, and what its console showed last is told. what: what was waited for.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        shown = board.console()[-2000:] if board else b""
        assert time.monotonic() < deadline, f"waited for {what or 'a condition'}; {shown!r}"
        assert board is None or board.alive() is None, f"{board.alive() if board else ''}; {shown!r}"
        time.sleep(_LOOK_S)
    return found


def wait_for_words(board: Board, words: bytes, times: int = 1) -> str:
    """What the board's console has shown, once `words` stand in it so often."""
    wait_until(lambda: board.console().count(words) >= times, board, repr(words))
    return board.console().decode(errors="replace")
