"""Cuts the power at every flash operation of a node's journal, clean and torn, and prints how many cuts were tried.

    python tools/power_cuts.py [--cycles 50]

Ends with 1 when a cut broke a promise, and says which. Takes about a minute.
"""

import argparse
import sys

from quaver.bench.power_cuts import TRIALS, cut_everywhere


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=50, help="journal cycles of each workload")
    cycles = parser.parse_args().cycles
    if cycles < 1:
        parser.error("expected at least 1 cycle")
    heads = ("records", "given up", "operations", "cuts", "cuts in starts", "violations")
    print(f"{f'{cycles} journal cycles':34}" + "".join(f"{head:>16}" for head in heads))
    total, broken = 0, []
    for trial in TRIALS:
        tried = cut_everywhere(trial, cycles)
        figures = (tried.records, tried.given_up, tried.operations, tried.cuts, tried.inner, len(tried.violations))
        print(f"{trial.name:34}" + "".join(f"{figure:>16,}" for figure in figures), flush=True)
        total += tried.cuts + tried.inner
        broken += [f"{trial.name}: {violation}" for violation in tried.violations]
    print(f"{total:,} cuts tried, torn and clean, and {len(broken):,} promises broken")
    for line in broken[:20]:
        print("  " + line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
