"""Says forged acknowledgements, times and commands to a node over its Bluetooth link, and prints what it believed.

    python tools/link_forgeries.py [--count 100000] [--seed 1]

Ends with 1 when one was taken, a record was lost, or one was refused without a security event. Each takes a connection
of its own, because a node ends that at the first message that does not fit.
"""

import argparse
import sys
import time

from quaver.bench.link_forgeries import say


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="how many, of all kinds together")
    parser.add_argument("--seed", type=int, default=1, help="of what is made up")
    given = parser.parse_args()
    if given.count < 1:
        parser.error("expected a count of at least 1")
    began = time.monotonic()
    found = say(given.count, given.seed)
    print(f"{'forged':48}{'tried':>10}{'taken':>10}")
    for (what, way), count in found.tried.items():
        print(f"{what + ' ' + way:48}{count:>10,}{found.taken.get((what, way), 0):>10,}")
    print(f"\n{'refused, by the subject of the event':48}{'counted':>10}")
    for subject, count in sorted(found.refused.items()):
        print(f"{subject:48}{count:>10,}")
    print(
        f"\nseed {given.seed}: {sum(found.tried.values()):,} tried, {sum(found.taken.values()):,} taken, "
        f"{found.lost} of {found.records} records lost, {len(found.wrong):,} without an event or otherwise wrong; "
        f"{time.monotonic() - began:.0f} s"
    )
    for line in found.wrong:
        print("  " + line)
    return 1 if found.taken or found.lost or found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
