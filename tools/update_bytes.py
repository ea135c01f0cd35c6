"""Prints what a node fetches when one line of one module changes, of each module: whole files, and with patches.

    python tools/update_bytes.py [--board pico_w] [MODULE ...]      half a minute

Ends with 1 when one of them costs more than 8,000 bytes with patches.
"""

import argparse
import statistics
import sys

from quaver.bench.update_bytes import LIMIT, costs, modules


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pico_w", help="its name")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="as dsp/fft.py; all of them by default")
    given = parser.parse_args()
    known = modules(given.board)
    for path in given.modules:
        if path not in known:
            parser.error(f"{path}: is no module of {given.board} with a line to be changed")
    print(f"{'module':28}{'files':>8}{'whole':>10}{'patched':>10}")
    found = []
    for cost in costs(given.board, given.modules or known):
        print(f"{cost.path:28}{cost.files:>8}{cost.whole:>10,}{cost.patched:>10,}", flush=True)
        found.append(cost)
    over = [cost.path for cost in found if cost.patched > LIMIT]
    median = statistics.median(cost.patched for cost in found)
    print(
        f"{len(found)} modules: {sum(cost.whole <= LIMIT for cost in found)} cost at most {LIMIT:,} bytes whole, "
        f"{len(found) - len(over)} with patches; {median:,.0f} in the middle, {max(c.patched for c in found):,} at most"
    )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
