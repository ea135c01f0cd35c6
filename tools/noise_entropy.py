"""Prints an estimate of the min-entropy of each source of noise of a real board, beside what the firmware assumes.

    python tools/noise_entropy.py serial:/dev/ttyACM0 [--samples 65536]

The board has Quaver's firmware, which is stopped for this. By NIST SP 800-90B: the most common value (6.3.1) and the
t-tuple estimate (6.3.5), of which the lower one counts. An emulated board's noise is from a seed: its figures say
nothing about a chip.
"""

import argparse
import math
import sys
from collections import Counter

from quaver.board.guest import guest
from quaver.emulator.targets import open_board

ASSUMED = 0.5  # bits in a sample of 8: firmware/node/entropy.py
_UPPER = 2.576  # of a confidence of 99 %
_OFTEN = 35  # how often the most common tuple is to be there


def _bits(most_likely: float, count: int) -> float:
    bound = most_likely + _UPPER * math.sqrt(most_likely * (1 - most_likely) / (count - 1))
    return -math.log2(min(1.0, bound))


def most_common_value(samples: bytes) -> float:
    """Bits a sample by SP 800-90B, 6.3.1."""
    return _bits(Counter(samples).most_common(1)[0][1] / len(samples), len(samples))


def t_tuple(samples: bytes) -> float:
    """Bits a sample by SP 800-90B, 6.3.5: by the most common sequences of each length that come 35 times."""
    likely, length = 0.0, 1
    while length < len(samples):
        tuples = Counter(samples[at : at + length] for at in range(len(samples) - length + 1))
        most = tuples.most_common(1)[0][1]
        if most < _OFTEN:
            break
        likely = max(likely, (most / (len(samples) - length + 1)) ** (1 / length))
        length += 1
        if length > 128 and likely > 2**-ASSUMED:  # as good as constant: longer ones only tell more of it
            break
    return _bits(likely, len(samples))


def estimate(samples: bytes) -> float:
    return min(most_common_value(samples), t_tuple(samples))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where")
    parser.add_argument("--samples", type=int, default=65536)
    given = parser.parse_args()
    enough = True
    with open_board(given.where) as board:
        names = board.exec("from hal import noise\nprint('\\n'.join(name for name, _ in noise.sources()))").splitlines()
        print(f"{'source':20}{'most common':>12}{'t-tuple':>10}{'assumed':>10}   bits a sample of 8")
        for name in names:
            samples = b""
            while len(samples) < given.samples:
                samples += bytes.fromhex(board.exec(guest(__file__, "noise", SOURCE=name, COUNT=2048)))
            samples = samples[: given.samples]
            print(f"{name:20}{most_common_value(samples):12.3f}{t_tuple(samples):10.3f}{ASSUMED:10.3f}")
            enough = enough and estimate(samples) > ASSUMED
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
