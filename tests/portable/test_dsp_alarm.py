"""Levels from values: the rules on CPython, and the same levels from the same values on MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.alarm import Threshold
from tests.programs import program

Run = Callable[..., Any]
NAN = float("nan")


def levels(values: list[float], **how: Any) -> list[int]:
    threshold = Threshold(2.0, 5.0, **how)
    return [threshold.update(value) for value in values]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 1, 1], [0, 0, 0]),
        ([1, 9, 1, 1, 9, 1, 1], [0, 0, 0, 0, 0, 0, 0]),  # one odd value in three says nothing
        ([1, 3, 1, 3], [0, 0, 0, 1]),  # two of three do
        ([3, 3, 3], [0, 1, 1]),
        ([9, 9, 9], [0, 2, 2]),  # straight to alarm
        ([3, 9, 9], [0, 1, 2]),  # what counted for warning keeps counting for alarm
        ([5, 5], [0, 2]),  # a limit itself is over it
        ([9, 9, 1, 1], [0, 2, 2, 0]),  # and straight back
        ([9, 9, 3, 3], [0, 2, 2, 1]),
        ([9, 9, 4.6, 4.6, 4.6], [0, 2, 2, 2, 2]),  # inside the hysteresis of the alarm
        ([3, 3, 1.9, 1.9, 1.9], [0, 1, 1, 1, 1]),  # and of the warning
        ([9, 9, 1.9, 1.9, 1, 1], [0, 2, 2, 1, 1, 0]),
        ([3, 3, 1, 3, 1, 1], [0, 1, 1, 1, 0, 0]),
        ([NAN, 9, NAN, 9, NAN, NAN], [0, 0, 0, 2, 2, 2]),
        ([9, 9, NAN, NAN, NAN], [0, 2, 2, 2, 2]),  # no value is not a good value
        ([float("inf"), float("inf")], [0, 2]),
    ],
)
def test_two_of_three_with_a_tenth_of_hysteresis(values: list[float], expected: list[int]) -> None:
    assert levels(values, hysteresis=0.1, count=2, of=3) == expected


def test_one_of_one_follows_at_once() -> None:
    assert levels([1, 3, 9, 3, 1], hysteresis=0.0, count=1, of=1) == [0, 1, 2, 1, 0]


def test_a_value_that_flutters_about_a_limit_does_not_move_the_level() -> None:
    flutter = [5.1, 4.9] * 20
    assert levels(flutter, hysteresis=0.1, count=2, of=3)[2:] == [2] * 38


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((5.0, 2.0), "warning"),
        ((0.0, 2.0), "warning"),
        ((NAN, 2.0), "warning"),
        ((1.0, 2.0, 1.0), "hysteresis"),
        ((1.0, 2.0, -0.1), "hysteresis"),
        ((1.0, 2.0, 0.1, 3, 2), "count"),
        ((1.0, 2.0, 0.1, 0, 2), "count"),
        ((1.0, 2.0, 0.1, 2, 31), "count"),
    ],
)
def test_limits_that_make_no_sense_are_refused(arguments: tuple[Any, ...], word: str) -> None:
    with pytest.raises(ValueError, match=f"^alarm: expected .*{word}"):
        Threshold(*arguments)


@given(
    st.lists(st.floats(0, 10), max_size=60),
    st.floats(0, 0.9),
    st.integers(1, 30).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))),
)
def test_a_change_is_backed_by_enough_values(values: list[float], hysteresis: float, votes: tuple[int, int]) -> None:
    count, of = votes
    threshold = Threshold(2.0, 5.0, hysteresis, count, of)
    for at, value in enumerate(values):
        before = threshold.level
        after = threshold.update(value)
        recent = values[max(0, at + 1 - of) : at + 1]
        if after > before:
            assert sum(x >= (2.0, 5.0)[after - 1] for x in recent) >= count
        elif after < before:
            assert sum(x < (2.0, 5.0)[after] for x in recent) >= count


def test_micropython_agrees(micropython: Run) -> None:
    values = [(i * 37 % 101) / 10 * (1 + i % 7 / 9) for i in range(300)]
    cases = [[0.1, 2, 3], [0.0, 1, 1], [0.5, 3, 5], [0.3, 15, 30]]
    got = micropython(
        program(__file__, "levels"),
        argument={"values": values, "cases": cases},
    )
    expected = [levels(values, hysteresis=hysteresis, count=count, of=of) for hysteresis, count, of in cases]
    assert got == expected
    assert {level for answer in got for level in answer} == {0, 1, 2}
