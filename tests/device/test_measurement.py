"""The engine on a board gives the whole numbers of the 64-bit host, on signals that try to overflow it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.build.tree import without_packs

pytestmark = pytest.mark.each_chip

ROOT = Path(__file__).resolve().parents[2]
PORTABLE = ROOT / "tests" / "portable"
sys.path.append(str(PORTABLE))

import dsp_hostile  # noqa: E402

# 4,096 samples: an eighth of a whole measurement of a fast part, and a whole one of a slow part, which has another
# decimation; there, those that gave the highest sums.
LENGTH = 4096
RATES = {26667: None, 3200: ("low", "nyquist", "turning 1", "chirp", "rails 1", "random 1")}


def on_the_host() -> Any:
    program = (
        f"import json, dsp_measurement_hostile as h\nprint(json.dumps([h.stages(r, {LENGTH}) for r in {list(RATES)}]))"
    )
    finished = subprocess.run(
        [Path(sys.executable).with_name("micropython"), "-X", "heapsize=4m", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:{ROOT / 'protocols'}:{PORTABLE}:.frozen"},
    )
    return json.loads(finished.stdout)


def test_hostile_signals_give_the_host_s_numbers(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    files = {name: (PORTABLE / name).read_bytes() for name in ("dsp_hostile.py", "dsp_measurement_hostile.py")}
    blocks = {name: block.tobytes() for name, block in dsp_hostile.blocks(LENGTH)}
    for rate, chosen in RATES.items():
        files[f"{rate}.bin"] = b"".join(blocks[name] for name in chosen or blocks)
    # the engine alone: the signals take the room of the rest
    firmware = {
        path: data for path, data in without_packs(board_files).items() if path.startswith(("dsp/", "quaver_wire/"))
    }
    board = start_board(files={**firmware, **files})
    for (rate, chosen), expected in zip(RATES.items(), on_the_host(), strict=True):
        names = list(chosen or blocks)
        code = (
            "import json, sys, dsp_measurement_hostile as h\n"
            f"json.dump(h.stages({rate}, {LENGTH}, h.saved('/{rate}.bin', {names}, {LENGTH})), sys.stdout)"
        )
        told = json.loads(board.exec(code, timeout=300.0))
        wanted = [answer for answer in expected if answer[0] in names]
        assert [answer[:-1] for answer in told] == [answer[:-1] for answer in wanted]
        for (*_, levels), (name, *_, host_s) in zip(told, wanted, strict=True):
            # the size of a line is a binary32 on the chip: a level may be rounded the other way
            assert max(abs(level - other) for level, other in zip(levels, host_s, strict=True)) <= 1, name
            assert any(host_s) == (name not in ("low", "high"))
