"""What a node has learned survives a restart, and a spoiled file does no harm; on the real MicroPython."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program

Run = Callable[..., Any]


def test_learning_goes_on_after_a_restart(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        program(__file__, "restart"),
        argument=str(tmp_path / "condition.json"),
    )
    saved, problem, second, third, learned, running, files = got
    assert saved == [True, True, False, True]  # a machine that stood still taught nothing
    assert problem is None
    assert second == third == pytest.approx(0.31)
    assert learned is True
    assert running == pytest.approx(1800)
    assert files == ["condition.json"]


def test_what_teaches_nothing_is_not_written(micropython: Run, tmp_path: Path) -> None:
    """A sensor that clips while a node learns may do so for weeks: flash is written once an hour, for the hours."""
    got = micropython(
        program(__file__, "clipping"),
        argument=str(tmp_path / "condition.json"),
    )
    assert got == [True, [False] * 5 + [True] + [False] * 5 + [True]]


def test_limits_hold_at_once_after_a_restart_and_hours_are_saved(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        program(__file__, "limits"),
        argument=str(tmp_path / "condition.json"),
    )
    level, saved, running = got
    assert level == 2
    assert saved == [False] * 5 + [True] + [False] * 5 + [True] + [False]
    assert running == pytest.approx(1800 + 2 * 3600)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"hours": 3, "baseline": 7, "mark": "6205"}',
        '{"hours": "x", "baseline": {"rows": []}, "mark": "6205"}',
        '{"hours": 1, "baseline": {"rows": [[1]]}, "mark": "6205"}',
    ],
)
def test_a_spoiled_file_means_learning_anew(micropython: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "condition.json"
    path.write_text(text)
    problem, learned, running = micropython(
        program(__file__, "corrupt_file"),
        argument=str(path),
    )
    assert problem.endswith("condition.json is corrupt: learning again")
    assert learned is True
    assert running == pytest.approx(1800)


def test_what_was_learned_of_another_bearing_is_not_compared(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        program(__file__, "other_bearing"),
        argument=str(tmp_path / "condition.json"),
    )
    problem, learned, running, none, kept = got
    assert problem == "measurement settings have changed: learning again"
    assert learned is False and running == pytest.approx(1800)  # the machine has run all the same
    assert none is None and kept is True  # the file stays until there is something better


def test_each_class_has_a_file_and_is_relearned_alone(micropython: Run, tmp_path: Path) -> None:
    said = micropython(program(__file__, "classes"), argument=str(tmp_path))
    assert said["one"] == [[None, [3], pytest.approx(1800)], ["condition.json"]]
    # what was learned without classes is of no class; the machine has run all the same
    changed = "measurement settings have changed: learning again"
    assert said["new"] == [changed, [0, 0, 0], pytest.approx(1800)]
    hours = pytest.approx(1800 + 5 * 600)
    assert said["learned"] == [[None, [3, 2, 0], hours], ["condition.json", "condition2.json"]]
    assert said["written"] == [False, False, True, False]
    assert said["relearned"][:2] == [None, [0, 2, 0]]
    problem, counts, _ = said["corrupt"]
    assert problem.endswith("condition2.json is corrupt: learning again") and counts == [0, 0, 0]
    assert said["again"][:2] == [changed, [0]]
