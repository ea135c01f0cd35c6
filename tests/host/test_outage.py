"""A share of tools/outage.py: the firmware on a unix board, a broker that goes, and a power that fails."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "outage.py"


@pytest.mark.parametrize("flash_kb", [pytest.param(1024, marks=pytest.mark.nightly), 32])
def test_an_outage_with_kills_leaves_no_gap_unexplained(flash_kb: int) -> None:
    command = [sys.executable, TOOL, "--records", "500", "--kills", "4", "--flash-kb", str(flash_kb)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.search(r"(\d+) stored, 0 stored twice, .* (\d+) dropped, .* 0 unexplained", result.stdout)
    assert found, result.stdout
    stored, dropped = map(int, found.groups())
    assert stored > (500 if flash_kb == 1024 else 50)
    assert (dropped > 0) == (flash_kb == 32)  # a journal too small for the outage tells what it gave up
