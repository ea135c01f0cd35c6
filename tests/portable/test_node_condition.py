"""What a node has learned survives a restart, and a spoiled file does no harm; on the real MicroPython."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NODE = """
import os
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from node.condition import Condition
path = argument
class Measured:
    crest, kurtosis, stretch, shaft_confidence = 4.0, 3.0, 1, 0.9
    rms_g, envelope_g, velocity_mm_s = 0.3, 0.1, 1.0
class Node:
    def __init__(self, mark="6205"):
        self.diagnosis = Diagnosis(Baseline(3))
        self.condition = Condition(self.diagnosis, path, mark)
        self.problem = self.condition.restore()
    def measure(self, rms=0.3, seconds=600, trusted=True):
        measured = Measured()
        measured.rms_g = rms
        self.diagnosis.run(measured, None, seconds, trusted)
        return self.condition.save()
"""


def test_learning_goes_on_after_a_restart(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        NODE
        + """
first = Node()
saved = [first.measure(0.3), first.measure(0.31), first.measure(0.001)]
second = Node()
saved.append(second.measure(0.32))
third = Node()
print(json.dumps([saved, first.problem, second.diagnosis.baseline.median[0], third.diagnosis.baseline.median[0],
                  third.diagnosis.baseline.learned, third.diagnosis.running_s, os.listdir(path.rpartition("/")[0])]))
""",
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
        NODE
        + """
node = Node()
print(json.dumps([node.measure(), [node.measure(trusted=False) for _ in range(12)]]))
""",
        argument=str(tmp_path / "condition.json"),
    )
    assert got == [True, [False] * 5 + [True] + [False] * 5 + [True]]


def test_limits_hold_at_once_after_a_restart_and_hours_are_saved(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        NODE
        + """
first = Node()
for _ in range(3):
    first.measure()
second = Node()
saved = [second.measure(0.9) for _ in range(13)]
print(json.dumps([second.diagnosis.level, saved, Node().diagnosis.running_s]))
""",
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
        NODE
        + """
node = Node()
problem = node.problem
for _ in range(3):
    node.measure()
print(json.dumps([problem, Node().diagnosis.baseline.learned, Node().diagnosis.running_s]))
""",
        argument=str(path),
    )
    assert problem.endswith("condition.json is corrupt: learning again")
    assert learned is True
    assert running == pytest.approx(1800)


def test_what_was_learned_of_another_bearing_is_not_compared(micropython: Run, tmp_path: Path) -> None:
    got = micropython(
        NODE
        + """
first = Node()
for _ in range(3):
    first.measure()
other = Node("6308")
again = Node()
print(json.dumps([other.problem, other.diagnosis.baseline.learned, other.diagnosis.running_s, again.problem,
                  again.diagnosis.baseline.learned]))
""",
        argument=str(tmp_path / "condition.json"),
    )
    problem, learned, running, none, kept = got
    assert problem == "measurement settings have changed: learning again"
    assert learned is False and running == pytest.approx(1800)  # the machine has run all the same
    assert none is None and kept is True  # the file stays until there is something better
