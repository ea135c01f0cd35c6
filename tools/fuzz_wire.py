"""Gives the decoder and the frame reader random bytes and altered messages, a million by default, from a seed.

    python tools/fuzz_wire.py [--inputs 1000000] [--seed 1] [--micropython]

Every input must be taken or refused with WireError; what is taken must be written again as the same bytes. Any other
exception ends the run with the input that made it. Runs on CPython; with --micropython on the unix port, where a heap
of 256 kB must be enough.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from quaver.board.guest import guest

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = guest(__file__, "fuzz_wire")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--micropython", action="store_true")
    options = parser.parse_args()
    if options.inputs < 1:
        parser.error("expected at least 1 input")
    if options.micropython:
        call = f"{PROGRAM}\nprint(*run({options.inputs}, {options.seed}))"
        command = [Path(sys.executable).with_name("micropython"), "-X", "heapsize=256k", "-c", call]
        path = f"{ROOT / 'protocols'}:.frozen"
        result = subprocess.run(command, capture_output=True, text=True, env={"MICROPYPATH": path})
        if result.returncode:
            print(result.stdout + result.stderr, file=sys.stderr)
            return 1
        counts = list(map(int, result.stdout.split()))
    else:
        sys.path.insert(0, str(ROOT / "protocols"))
        room: dict[str, object] = {}
        exec(PROGRAM, room)
        counts = room["run"](options.inputs, options.seed)  # type: ignore[operator]
    where = "MicroPython" if options.micropython else "CPython"
    print(
        f"{options.inputs:,} inputs on {where}, seed {options.seed}: {counts[0]:,} were items, {counts[1]:,} records, "
        f"{counts[2]:,} frames; {counts[3]:,} were refused, each with WireError"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
