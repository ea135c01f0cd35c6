"""The LED that shows which board it is, on the real MicroPython in virtual time."""

from collections.abc import Callable
from typing import Any

from tests.programs import program


def test_twenty_blinks_in_five_seconds_and_asking_again_meanwhile_adds_none(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "twice")
    [[times, values], pins] = micropython(code, virtual_time=True)
    assert values == [1, 0] * 20
    assert times == [125 * step for step in range(40)]
    assert pins == [[25, 0]]


def test_it_blinks_to_the_end_when_its_module_is_given_back(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "given_back")
    _, values = micropython(code, virtual_time=True)
    assert values == [1, 0] * 20


def test_a_board_without_an_led_says_so_by_its_console_alone(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "without_led")
    assert micropython(code, virtual_time=True) == [[[], []], []]
