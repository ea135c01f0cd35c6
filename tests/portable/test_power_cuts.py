"""The power goes at every flash operation of a node's work, and no promise is broken; on the real MicroPython.

`tools/power_cuts.py` does the same for 50 journal cycles of each workload, and prints how many cuts were tried.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.bench import power_cuts

GUEST = Path(power_cuts.__file__).with_name("guest")


@pytest.mark.long
@pytest.mark.parametrize("trial", power_cuts.TRIALS, ids=lambda trial: trial.name)
def test_no_cut_breaks_a_promise(trial: power_cuts.Trial) -> None:
    cycles = 20 if trial.full else 8
    tried = power_cuts.cut_everywhere(dataclasses.replace(trial, inner_every=trial.inner_every and 60), cycles)
    assert tried.violations == ()
    assert tried.cuts == 2 * tried.operations + 1
    assert tried.operations > 10 * cycles
    assert bool(tried.given_up) == bool(trial.full)  # the workload meets what it is there for
    assert bool(tried.inner) == bool(trial.inner_every)


SPOILED = {
    # an acknowledgement that stays in RAM: what was acknowledged comes back
    "came back": "journal.Log.done = lambda self, floor: forgetful(self)",
    # events that wait in RAM: an alarm that was put is not there
    "is missing": "outbox.Outbox._persist = lambda self, log: None",
}


@pytest.mark.parametrize("complaint", SPOILED)
def test_the_trial_sees_a_journal_that_is_careless(micropython: Callable[..., Any], complaint: str) -> None:
    found = micropython(
        f"""
sys.path.append(argument)
import power_cuts
from node import journal, outbox
def forgetful(self):
    self.first()
    if self._head:
        self._head = None
        self.count -= 1
        self._at = self._after
    else:
        self.ram.pop(0)
        self.staged = max(0, self.staged - 1)
{SPOILED[complaint]}
trial = power_cuts.Trial(8, 48, 256, 0, None, 8, {{}})
print(json.dumps(trial.run()["violations"]))
""",
        argument=str(GUEST),
        heap="64m",
    )
    assert any(complaint in violation for violation in found), found[:3]


def test_a_cut_stops_or_tears_and_nothing_happens_afterwards(micropython: Callable[..., Any]) -> None:
    clean, torn, erase, kept = micropython(
        """
sys.path.append(argument)
from nor_flash import NorFlash
def program(torn):
    flash = NorFlash(bytearray(b"\\xff" * 8192))
    flash.cut(2, torn)
    answers = [flash.writeblocks(0, bytes(4)), flash.writeblocks(0, bytes(4), 8), flash.writeblocks(1, bytes(4))]
    answers.append(flash.readblocks(0, bytearray(4)))
    return answers, list(flash.data[:12]), flash.data[4096]
flash = NorFlash(bytearray(8192))
flash.cut(1, True)
flash.ioctl(6, 1)
flash.ioctl(6, 0)
twice = NorFlash(bytearray(b"\\xff" * 4096))
twice.writeblocks(0, b"\\xf0")
twice.writeblocks(0, b"\\x3c")
halves = [sum(flash.data[:4096]), sum(flash.data[4096:6144]), sum(flash.data[6144:])]
print(json.dumps([program(False), program(True), halves, twice.data[0]]))
""",
        argument=str(GUEST),
    )
    ones = [255] * 4
    assert clean == [[0, -5, -5, -5], [0] * 4 + ones + ones, 255]
    assert torn == [[0, -5, -5, -5], [0] * 4 + ones + [0, 0, 0xF0, 255], 255]
    assert erase == [0, 255 * 2048, 0]
    assert kept == 0x30  # programming clears bits, and sets none
