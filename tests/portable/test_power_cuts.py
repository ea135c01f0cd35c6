"""The power goes at every flash operation of a node's work, and no promise is broken; on the real MicroPython.

`tools/power_cuts.py` does the same for 50 journal cycles of each workload, and prints how many cuts were tried.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.bench import power_cuts
from tests.programs import program

GUEST = Path(power_cuts.__file__).with_name("guest")


@pytest.mark.long
@pytest.mark.parametrize("cycles", [5, pytest.param(8, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("trial", power_cuts.TRIALS, ids=lambda trial: trial.name)
def test_no_cut_breaks_a_promise(trial: power_cuts.Trial, cycles: int) -> None:
    """The longer ones are of the same work once more; flash or a journal is full after 20."""
    cycles = 20 if trial.full else cycles
    tried = power_cuts.cut_everywhere(dataclasses.replace(trial, inner_every=trial.inner_every and 60), cycles)
    assert tried.violations == ()
    assert tried.cuts == 2 * tried.operations + 1
    assert tried.operations > 10 * cycles
    assert bool(tried.given_up) == bool(trial.full)  # the workload meets what it is there for
    assert bool(tried.inner) == bool(trial.inner_every)


@pytest.mark.parametrize("complaint", ["came back", "is missing"])
def test_the_trial_sees_a_journal_that_is_careless(micropython: Callable[..., Any], complaint: str) -> None:
    found = micropython(
        program(__file__, "careless"),
        argument=[str(GUEST), complaint],
        heap="64m",
    )
    assert any(complaint in violation for violation in found), found[:3]


def test_a_cut_stops_or_tears_and_nothing_happens_afterwards(micropython: Callable[..., Any]) -> None:
    clean, torn, erase, kept = micropython(
        program(__file__, "cut"),
        argument=str(GUEST),
    )
    ones = [255] * 4
    assert clean == [[0, -5, -5, -5], [0] * 4 + ones + ones, 255]
    assert torn == [[0, -5, -5, -5], [0] * 4 + ones + [0, 0, 0xF0, 255], 255]
    assert erase == [0, 255 * 2048, 0]
    assert kept == 0x30  # programming clears bits, and sets none
