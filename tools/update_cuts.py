"""Cuts the power at every flash operation of an update of the firmware, clean and torn, and prints how many were tried.

    python tools/update_cuts.py [--modules 1] [--inner 40]

Ends with 1 when a cut left a board that did not start as it must, and says which. Takes about 25 minutes.
"""

import argparse
import dataclasses
import sys

from quaver.bench.update_cuts import TRIALS, cut_everywhere


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=int, default=1, help="modules in each folder of the firmware")
    parser.add_argument("--inner", type=int, default=40, help="after every so many cuts the starts are cut too")
    given = parser.parse_args()
    if given.modules < 1 or given.inner < 1:
        parser.error("expected numbers of at least 1")
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


if __name__ == "__main__":
    sys.exit(main())
