"""Offers a node releases and chunks that it must not take, and prints how many were tried, taken and counted.

    python tools/update_forgeries.py [--count 100000] [--seed 1]

Ends with 1 when one was taken, or refused without a security event. 100,000 take about 15 minutes.
"""

import argparse
import sys
import time

from quaver.bench.update_forgeries import offer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="how many, of all classes together")
    parser.add_argument("--seed", type=int, default=1, help="of what is made up")
    given = parser.parse_args()
    if given.count < 1:
        parser.error("expected a count of at least 1")
    began = time.monotonic()
    found = offer(given.count, given.seed)
    print(f"{'class':36}{'tried':>10}{'taken':>10}")
    for name, count in found.tried.items():
        print(f"{name.replace('_', ' '):36}{count:>10,}{found.taken.get(name, 0):>10,}")
    print(f"\n{'refused, by the subject of the event':36}{'counted':>10}")
    for subject, count in sorted(found.events.items()):
        print(f"{subject:36}{count:>10,}")
    print(
        f"\nseed {given.seed}: {sum(found.tried.values()):,} tried, {sum(found.taken.values()):,} taken, "
        f"{len(found.wrong):,} without an event or otherwise wrong; {time.monotonic() - began:.0f} s"
    )
    for line in found.wrong:
        print("  " + line)
    return 1 if found.taken or found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
