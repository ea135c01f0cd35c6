"""The firmware's timers on the MicroPython of two chips that differ in them: they outlive a garbage collection."""

import hashlib
import time

import pytest

from quaver.emulator.child_board import ChildBoard
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.files.carried import payload

NEW = b"import gc\ngc.collect()\n1 / 0"
OLD = b"pass"


@pytest.mark.parametrize("kind", [Rp2040Board, Esp32C3Board])
@pytest.mark.parametrize(("period", "running"), [("period=1000", OLD), ("period=330000", NEW)])
def test_a_version_that_ends_at_the_prompt_is_left(kind: type[ChildBoard], period: str, running: bytes) -> None:
    boot = (payload("firmware") / "boot.py").read_text()
    listing = hashlib.sha256(NEW).digest() + len(NEW).to_bytes(2, "little") + b"main.py\n"
    files = {"boot.py": boot.replace("period=330000", period).encode(), "main.py": OLD, "main.py.new": NEW}
    files |= {"release.plan": b"2 -\n=/main.py\n", "release.list": listing}
    with kind(Setup(files=files)) as board:
        while board.virtual_time_ns() < 5e9:  # of its own time
            time.sleep(0.02)
        assert board.get("main.py") == running
        there = board.exec("import os; print(os.listdir())")
    assert ("release.rejected" in there) == (running == OLD) and ("release.plan" in there) == (running == NEW)


@pytest.mark.parametrize(("kind", "timer"), [(Rp2040Board, -1), (Esp32C3Board, 0)])
def test_whoever_is_at_the_prompt_is_not_reset_by_the_watchdog(kind: type[ChildBoard], timer: int) -> None:
    source = (payload("firmware") / "hal" / "watchdog.py").read_text()
    limit_s = 8
    with kind(Setup()) as board:
        board.exec(f"{source}\nwatchdog = Watchdog({1000 * limit_s}, {timer}, print)\nwatchdog.hand_over()")
        board.exec("import gc\ngc.collect()")
        began = board.virtual_time_ns()
        assert board.exec("import time\nfor _ in range(12):\n    time.sleep(1)\n    print(end='.')") == 12 * "."
        assert board.virtual_time_ns() - began > 1.4e9 * limit_s
