"""Prints the transform's times on the emulated Pico W, in its virtual microseconds, in assembly and in viper.

    python tools/bench_fft.py [--check]

The code is the firmware as it is shipped (.mpy). A time is one call of RFFT.run, between two readings of ticks_us
less what the readings take themselves, and the longest of three calls over a full-scale signal; the work does not
depend on the samples, but for a microsecond in the search for their headroom. The emulator knows no flash cache
misses, so silicon is a little slower around the passes; these lie in RAM.
"""

import argparse
import ast
import sys

from quaver.build import firmware_files
from quaver.emulator.board import Setup, open_board

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
GOALS = {"assembly": {256: 290, 1024: 850, 2048: 2000}, "viper": {1024: 2200}}  # microseconds

CODE = """
import gc, time
from array import array
from dsp import fft, {passes} as fft_passes
fft.passes = fft_passes
def clock(function, *arguments):
    longest = 0
    for _ in range(3):
        before = time.ticks_us()
        function(*arguments)
        longest = max(longest, time.ticks_diff(time.ticks_us(), before))
    return longest
idle = clock(lambda src, out: None, None, None)
times = []
for n in {sizes}:
    gc.collect()
    free = gc.mem_free()
    transform = fft.RFFT(n)
    gc.collect()
    tables = free - gc.mem_free()
    src = array("h", bytes(2 * n))
    out = array("i", bytes(4 * n))
    for i in range(n):
        src[i] = i * 40503 % 65536 - 32768
    times.append((clock(transform.run, src, out) - idle, tables))
    transform = src = out = None
print(times)
"""


def measure(passes: str) -> dict[int, tuple[int, int]]:
    """For each size the microseconds of a run and the bytes of its tables, on a board of its own."""
    files = dict(firmware_files("pico_w"))
    files.pop("main.py")
    with open_board("rp2040:", Setup(files=files)) as board:
        answer = board.exec(CODE.format(passes=passes, sizes=SIZES), timeout=120.0)
    return dict(zip(SIZES, ast.literal_eval(answer.strip()), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where a goal is missed")
    check = parser.parse_args().check
    measured = {"assembly": measure("passes_thumb"), "viper": measure("passes")}
    print(f"{'real samples':24}" + "".join(f"{n:>8,}" for n in SIZES))
    late = []
    for name, figures in measured.items():
        print(f"{name + ', us':24}" + "".join(f"{figures[n][0]:>8,}" for n in SIZES))
        goals = GOALS[name]
        print(f"{'  goal':24}" + "".join(f"{goals[n]:>8,}" if n in goals else " " * 8 for n in SIZES))
        late += [f"{name}, {n} samples" for n, goal in goals.items() if figures[n][0] > goal]
    print(f"{'tables, bytes of heap':24}" + "".join(f"{measured['assembly'][n][1]:>8,}" for n in SIZES))
    if late:
        print("slower than its goal: " + "; ".join(late))
    return 1 if check and late else 0


if __name__ == "__main__":
    sys.exit(main())
