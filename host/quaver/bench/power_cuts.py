"""Cuts the power at every flash operation of a node's work, clean and torn, and says what was lost that must not be.

The work runs on the MicroPython unix port over littlefs on flash in memory: the journal, the configuration, the boot
counter and the baseline. After each cut a node starts on what flash holds then: it must mount, give no entry that had
left, miss none that was durable and not given up, alter none, and count its boots on. `guest/power_cuts.py` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quaver.bench.guest_program import run_guest


@dataclass(frozen=True)
class Trial:
    """One workload on one kind of flash. Units: bytes; always: telemetry is durable at once; full: what has no room
    for all records, the "journal" or the "flash" itself.

    inner_every: after every so many cuts the start that follows is cut too, at each of its operations; 0 for never.
    """

    name: str
    page: int = 256
    blocks: int = 48
    always: bool = False
    full: str = ""
    inner_every: int = 0


TRIALS = (
    Trial("Pico W, RAM and spill", inner_every=40),
    Trial("Pico W, always durable", always=True),
    Trial("Pico W, a journal that is full", full="journal"),
    Trial("Pico W, flash that is full", full="flash", blocks=12),
    Trial("ESP32, RAM and spill", page=32),
)
"""What `tools/power_cuts.py` tries. A littlefs page is 256 bytes on the Pico W and 32 on the ESP32."""


@dataclass(frozen=True)
class Tried:
    """records: made by the work; operations: its programs and erases; cuts: tried at them, torn and clean; inner: tried
    in starts after a cut; given_up: runs of records that a full journal gave up; violations: in words.
    """

    records: int
    operations: int
    cuts: int
    inner: int
    given_up: int
    violations: tuple[str, ...]


def cut_everywhere(trial: Trial, cycles: int) -> Tried:
    """Try every cut of `cycles` journal cycles. Raises BoardError when MicroPython fails."""
    settings: dict[str, Any] = {"always": trial.always}
    if trial.full == "journal":
        settings["limit"] = 2048
    argument = {
        "cycles": cycles,
        "blocks": trial.blocks,
        "page": trial.page,
        "inner_every": trial.inner_every,
        "segment": 512 if trial.full else None,
        "drain_every": 16 if trial.full else 8,
        "settings": settings,
    }
    report = run_guest("power_cuts", argument, heap="12m")
    return Tried(**{**report, "violations": tuple(report["violations"])})
