"""The engine on a board gives the whole numbers of the 64-bit host, on signals that try to overflow it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from quaver.emulator.board import Board

ROOT = Path(__file__).resolve().parents[2]
PORTABLE = ROOT / "tests" / "portable"
# 4,096 samples: a whole measurement of a slow part, and an eighth of one of a fast part
RATES = (3200, 26667)


def on_the_host() -> list[object]:
    program = f"import json, dsp_measurement_hostile as h\nprint(json.dumps([h.stages(r, 4096) for r in {RATES}]))"
    finished = subprocess.run(
        [Path(sys.executable).with_name("micropython"), "-X", "heapsize=4m", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:{PORTABLE}:.frozen"},
    )
    result: list[object] = json.loads(finished.stdout)
    return result


def test_hostile_signals_give_the_host_s_numbers(board: Board) -> None:
    for name in ("dsp_hostile.py", "dsp_measurement_hostile.py"):
        board.put(name, (PORTABLE / name).read_bytes())
    for rate, expected in zip(RATES, on_the_host(), strict=True):
        board.reset(run=False)  # with a heap that no other test has been on
        code = f"import json, sys, dsp_measurement_hostile as h\njson.dump(h.stages({rate}, 4096), sys.stdout)"
        assert json.loads(board.exec(code, timeout=300.0)) == expected
