"""A share of the fuzz run of tools/fuzz_wire.py: on CPython and on the real MicroPython, with the same outcome."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fuzz_wire.py"


@pytest.mark.long
def test_20000_inputs_on_both_end_alike_and_raise_nothing_else() -> None:
    said = []
    for options in ([], ["--micropython"]):
        result = subprocess.run([sys.executable, TOOL, "--inputs", "20000", *options], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        said.append([int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:were|records|frames)", result.stdout)])
    assert said[0] == said[1]
    items, records, frames, refused = said[0]
    assert min(items, records, frames) > 500
    assert refused > 10000
