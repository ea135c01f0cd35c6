"""The emulated ESP32-C3: real time from its start to the prompt, and instructions in a real second."""

from __future__ import annotations

import time
from collections.abc import Callable

from quaver.bench import Figure
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.esp32c3.chip import load_core
from quaver.emulator.setup import Setup

GOAL_BOOT_S = 1.0
GOAL_MIPS = 80.0
_BUSY = "s = 0\nfor i in range(600000): s += i\nprint(s)"


def run_esp32c3(step: Callable[[str], None] = lambda said: None) -> list[Figure]:
    """All figures. step: told what is measured now. Raises BoardError, ArtifactError."""
    step("compiling the core, where it was not yet")
    load_core()
    step("the boot")
    Esp32C3Board(Setup()).stop()  # what the system reads from disk is in memory from now on
    began = time.monotonic()
    with Esp32C3Board(Setup()) as board:
        board.exec("")
        boot = time.monotonic() - began
        instructions = board.instructions()
        step("a busy loop")
        began = time.monotonic()
        board.exec(_BUSY, timeout=120.0)
        mips = (board.instructions() - instructions) / 1e6 / (time.monotonic() - began)
    return [
        Figure("from its start to the first answer of the prompt", round(boot, 2), "s", GOAL_BOOT_S),
        Figure("instructions until then", round(instructions / 1e6, 1), "million"),
        Figure("bytecode", round(mips), "MIPS", GOAL_MIPS, at_least=True),
    ]
