"""Why a sensor fails: each number has one meaning, and words for it."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver_wire.reasons import WORDS, words

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
SENSING = (
    *sorted((FIRMWARE / "drivers").glob("*.py")),
    *(FIRMWARE / "node" / f"{n}.py" for n in ("capture", "measure", "vibration")),
)
REASONS = [
    ([5], "no answer"),
    ([19], "no answer"),
    ([110], "no answer in time"),
    ([116], "no answer in time"),
    ([200, 255], "no answer"),
    ([201], "a broken answer"),
    ([202, 0x6B], "another part answers (identity 0x6B)"),
    ([203], "gives no reading"),
    ([204, -3], "stuck: the same value every time (-3)"),
    ([205, 200_000], "out of its range at 200.0 degrees"),
    ([206, 0x0156 << 8 | 2], "refuses register 0x0156 (2, no such register)"),
    ([206, 0x0156 << 8 | 99], "refuses register 0x0156 (99, no standard code)"),
    ([207, 0x46], "register 0x0046 holds no usable number"),
    ([208], "an echo of the adapter, and no answer"),
    ([209, 7], "address 7 answers instead"),
    ([210], "few or uneven pulses, and the machine runs"),
    ([220, 0xA0], "PT100: element or lead open (status 0xA0)"),
    ([220, 0x40], "PT100: shorted (status 0x40)"),
    ([220, 0x84], "PT100: voltage beyond the supply (status 0x84)"),
    ([220, 0], "PT100: fault (status 0x00)"),
    ([202], "error 202"),
    ([259], "error 259"),
    ([999, 4], "error 999 (4)"),
    ([], "error None"),
]


@pytest.mark.parametrize(("reason", "text"), REASONS)
def test_the_words(reason: list[int], text: str) -> None:
    assert words(reason) == text


def test_the_same_words_on_the_board(micropython: Callable[..., Any]) -> None:
    code = "from quaver_wire.reasons import words\nprint(json.dumps([words(reason) for reason in argument]))"
    assert micropython(code, argument=[reason for reason, _ in REASONS]) == [text for _, text in REASONS]


@given(st.lists(st.none() | st.integers(-(2**63), 2**64 - 1), max_size=4))
def test_any_numbers_of_the_wire_have_words(reason: list[int | None]) -> None:
    assert words(reason)


def test_the_words_fit_a_line_of_the_log() -> None:
    assert all(len(f"1234567 node: vibration: {text}") <= 72 for _, text in REASONS)


def raised(path: Path) -> set[int]:
    """The numbers of each `OSError(number, ...)` in a module, its constants followed."""
    tree = ast.parse(path.read_text())
    constants = {
        node.targets[0].id: node.value.args[0].value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Call) and isinstance(node.value.args[0], ast.Constant)
    }
    first = [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OSError"
    ]
    found = set()
    for number in first:
        for part in (number.body, number.orelse) if isinstance(number, ast.IfExp) else (number,):
            if isinstance(part, ast.Starred):
                continue  # one that was raised before
            found.add(constants[part.id] if isinstance(part, ast.Name) else part.value)  # type: ignore[attr-defined]
    return found


def test_what_the_drivers_raise_is_theirs_alone_and_all_of_it_has_words() -> None:
    numbers = set().union(*(raised(path) for path in SENSING))
    numbers.add(207)  # of a meter's value that is none: kept, and raised where a meter has no other
    assert numbers == {number for number in WORDS if number >= 200}  # below, an errno of the board's buses
