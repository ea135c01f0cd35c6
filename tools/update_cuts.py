"""Cuts the power at every flash operation of an update of the firmware, clean and torn, and prints how many were tried.

    python tools/update_cuts.py [--modules 1] [--inner 40]         on the unix port, 25 minutes
    python tools/update_cuts.py --board rp2040: [--every 20]       at a sample of them, on an emulated chip
    python tools/update_cuts.py --board esp32_c3: [--every 20] [--image]   there also with MicroPython itself

Ends with 1 when a cut left a board that did not start as it must, and says which.
"""

import argparse
import dataclasses
import sys

from quaver.bench.chip_update_cuts import OUTCOMES, sample
from quaver.bench.update_cuts import TRIALS, cut_everywhere
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.rp2040 import Rp2040Board

BOARDS = {"rp2040:": Rp2040Board, "esp32_c3:": Esp32C3Board}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=int, default=1, help="modules in each folder of the firmware")
    parser.add_argument("--inner", type=int, default=40, help="after every so many cuts the starts are cut too")
    parser.add_argument("--board", choices=BOARDS, help="an emulated chip instead of the unix port")
    parser.add_argument("--every", type=int, default=20, help="with --board: cut at one of so many operations")
    parser.add_argument("--image", action="store_true", help="with --board esp32_c3: the image of MicroPython too")
    given = parser.parse_args()
    if given.image and given.board != "esp32_c3:":
        parser.error("--image goes with --board esp32_c3:, which has two slots for it")
    if given.modules < 1 or given.inner < 1 or given.every < 1:
        parser.error("expected numbers of at least 1")
    if given.board:
        return on_a_chip(given.board, given.every, given.image)
    heads = ("operations", "cuts", "cuts in starts", "ended old", "ended new", "violations")
    print(f"{'update':34}" + "".join(f"{head:>16}" for head in heads))
    total, broken = 0, []
    for trial in TRIALS:
        if trial.inner_every:
            trial = dataclasses.replace(trial, inner_every=given.inner)
        tried = cut_everywhere(trial, given.modules)
        figures = (tried.operations, tried.cuts, tried.inner, tried.old, tried.new, len(tried.violations))
        print(f"{trial.name:34}" + "".join(f"{figure:>16,}" for figure in figures), flush=True)
        total += tried.cuts + tried.inner
        broken += [f"{trial.name}: {violation}" for violation in tried.violations]
    print(f"{total:,} cuts tried, torn and clean, and {len(broken):,} violations")
    for line in broken[:20]:
        print("  " + line)
    return 1 if broken else 0


def on_a_chip(where: str, every: int, image: bool) -> int:
    """Print each cut of a sample, and what came of all."""
    cuts = broken = 0
    for outcome in OUTCOMES:
        for done in sample(BOARDS[where], outcome, every, image):
            cuts += 1
            broken += bool(done.wrong)
            kind = "torn" if done.torn else "clean"
            print(f"{outcome:12}{done.operation:>6}  {kind:6}ended {done.ended}  {done.wrong}", flush=True)
    print(f"{where} {cuts} cuts tried, torn and clean, and {broken} violations")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
