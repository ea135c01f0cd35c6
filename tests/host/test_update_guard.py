"""boot.py on the MicroPython of two chips, whose timers differ: a version that ends at the prompt is left."""

import hashlib
import time

import pytest

from quaver.emulator.child_board import ChildBoard
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.files.carried import payload

NEW = b"1 / 0"
OLD = b"pass"


@pytest.mark.parametrize("kind", [Rp2040Board, Esp32C3Board])
@pytest.mark.parametrize(("period", "running"), [("period=1000", OLD), ("period=330000", NEW)])
def test_a_version_that_ends_at_the_prompt_is_left(kind: type[ChildBoard], period: str, running: bytes) -> None:
    boot = (payload("firmware") / "boot.py").read_text()
    listing = hashlib.sha256(NEW).digest() + len(NEW).to_bytes(2, "little") + b"main.py\n"
    files = {"boot.py": boot.replace("period=330000", period).encode(), "main.py": OLD, "main.py.new": NEW}
    files |= {"release.plan": b"2 -\n=/main.py\n", "release.list": listing}
    with kind(Setup(files=files)) as board:
        while board.virtual_time_ns() < 10e9:  # of its own time
            time.sleep(0.02)
        assert board.get("main.py") == running
        there = board.exec("import os; print(os.listdir())")
    assert ("release.rejected" in there) == (running == OLD) and ("release.plan" in there) == (running == NEW)
