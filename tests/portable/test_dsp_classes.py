"""What is healthy by class of load or speed, on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.programs import program

Run = Callable[..., Any]
LEARNING = "class {} is not learned yet: limits alone"
UNKNOWN = "the class is not known: limits alone"


def test_each_class_is_held_against_its_own_baseline(micropython: Run) -> None:
    one, apart, counts, medians, fault = micropython(program(__file__, "apart"))
    assert max(one) == 2  # a false alarm: the higher load is healthy
    assert apart == [0] * 8
    assert counts == [3, 3]
    assert medians == pytest.approx([0.1, 0.3])
    # the fault is there at one load alone; the alarm comes with its second measurement, and stays at the other load
    assert [level for _, _, level, _ in fault] == [0, 0, 2, 2, 2, 2, 2, 2]
    assert {tuple(causes) for *_, causes in fault[2:]} == {("envelope", "rms", "velocity")}


def test_what_a_class_told_holds_in_the_others_and_keeps_them_from_learning(micropython: Run) -> None:
    told, counts, after = micropython(program(__file__, "held"))
    rises = ["envelope", "rms", "velocity"]
    assert told == [
        [0, 2, 0, []],
        [0, 2, 2, rises],
        [1, 2, 2, rises],
        [2, 1, 2, rises],
        [0, 2, 2, rises],
        [0, 2, 0, []],  # it was well twice
        [2, 1, 0, []],
        [0, 2, 0, []],
        [0, 2, 2, rises],
        [2, 1, 2, rises],
        [2, 1, 0, []],  # relearned
    ]
    assert counts == [3, 3, 1]  # once, while no class alarmed
    assert after == [0, 3, 2]


def test_a_class_that_is_not_known_or_not_learned_is_judged_by_limits_alone_and_says_so(micropython: Run) -> None:
    told, counts = micropython(program(__file__, "unknown"))
    assert told[:4] == [
        [None, 1, 0, [], UNKNOWN],
        [None, 1, 1, ["zone"], UNKNOWN],
        [1, 1, 1, ["zone"], LEARNING.format(2)],
        [1, 1, 2, ["zone"], LEARNING.format(2)],
    ]
    assert told[5][2:4] == [1, ["kurtosis"]]
    assert told[6][:2] == [0, 2]
    assert counts == [3, 0, 0]  # zone D teaches nothing


def marks(*turns: int) -> list[int]:
    """Moments of whole turns, in microseconds, each so long."""
    return [sum(turns[:i]) for i in range(len(turns) + 1)]


def test_the_class_of_a_speed_that_is_not_sure_or_changes_is_not_known(micropython: Run) -> None:
    steady, within = marks(*[50_000] * 8), marks(*range(60_000, 52_000, -1000))
    across = marks(*range(60_000, 44_000, -2000))
    seen = [
        ([15.0, 0.9, []], 0),
        ([20.0, 0.9, []], 1),
        ([29.9, 0.5, []], 1),
        ([30.0, 0.9, []], 2),
        ([30.0, 0.49, []], None),
        ([None, 0.0, []], None),
        ([20.0, 1, steady], 1),
        ([18.0, 1, within], 0),
        ([19.2, 1, across], None),
    ]
    assert micropython(program(__file__, "speeds"), argument=[given for given, _ in seen]) == [
        found for _, found in seen
    ]


def test_a_trend_is_that_of_a_class(micropython: Run) -> None:
    share, rise = micropython(program(__file__, "trends"))
    assert share == 0
    assert 1.6 < rise < 2.4
