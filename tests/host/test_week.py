"""A share of tools/week_under_attack.py: twelve minutes of a node and its gateway, attacks and outages in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "week_under_attack.py"


@pytest.mark.long
@pytest.mark.nightly
def test_a_node_and_its_gateway_lose_nothing_and_believe_nobody_under_attack_and_outage() -> None:
    result = subprocess.run([sys.executable, TOOL, "--hours", "0.2"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    reached = {name: int(count) for name, count in re.findall(r"^  (\S.*?) +\d+ +(\d+)$", result.stdout, re.MULTILINE)}
    assert len(reached) >= 12 and reached["a revoked gateway"] and reached["a node that floods"], result.stdout
    received = re.findall(r"^  (\w+) +boots \(1, (\d+)\): (\d+) records", result.stdout, re.MULTILINE)
    assert {name for name, _, _ in received} == {"pump", "gate"}
    assert all(int(boots) > 1 and int(records) > 20 for _, boots, records in received)
