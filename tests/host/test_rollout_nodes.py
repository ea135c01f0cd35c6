"""A share of tools/rollout_100.py: real nodes take a release from `quaver rollout`, or stop one that fails."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "rollout_100.py"


def run(*settings: str) -> str:
    command = [sys.executable, TOOL, "--nodes=3", "--watch=1", "--interval=5", *settings]
    result = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slowest
def test_all_nodes_run_the_new_version_though_one_lost_its_power() -> None:
    said = run("--cuts=1", "--over=1")
    assert "flash: 3 new, 0 old, 0 neither or both" in said and "3 updated" in said
    assert " 0 unexplained, 0 strangers" in said


@pytest.mark.nightly
def test_a_release_that_crashes_stops_at_the_canary() -> None:
    said = run("--release=crashes")
    assert "touched: 1 nodes, of canary; the canary failed: " in said
    assert "flash: 0 new, 3 old, 0 neither or both" in said
