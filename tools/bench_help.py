"""What `quaver --help` takes beside a bare interpreter on this machine; the medians of 20 starts each, by turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GOAL_S = 0.15
QUAVER = str(Path(sys.executable).with_name("quaver"))


def seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    taken = [(seconds(QUAVER, "--help"), seconds(sys.executable, "-c", "pass")) for _ in range(20)]
    helping, bare = (statistics.median(side) for side in zip(*taken, strict=True))
    print(f"quaver --help: {helping:.3f} s (goal {GOAL_S}); a bare interpreter: {bare:.3f} s")


if __name__ == "__main__":
    main()
