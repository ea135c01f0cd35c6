"""The kernels of firmware/dsp/streams.py in plain Python, written from what they mean; see dsp_twins.py."""

import math
from collections.abc import Sequence

from dsp_twins import word


def clamp(value: int) -> int:
    return max(-0x7FFF, min(0x7FFF, value))


class Filter:
    """A section of second order in Q13 that hands on what its shift cuts off."""

    def __init__(self, b: int, n1: int, n2: int, sign: int) -> None:
        self.b, self.n1, self.n2, self.sign = b, n1, n2, sign
        self.x = [0, 0]
        self.y = [0, 0]
        self.rest = 0

    def __call__(self, x: int) -> int:
        word(x + 2 * self.sign * self.x[0] + self.x[1])
        total = word((x + 2 * self.sign * self.x[0] + self.x[1]) * self.b)
        total = word(total + word(self.y[0] * self.n1))
        total = word(total + word(self.y[1] * self.n2) + self.rest)
        self.rest = total % 8192
        y = clamp(total >> 13)
        self.x = [x, self.x[0]]
        self.y = [y, self.y[0]]
        return y


def boxcar(values: Sequence[int], length: int, order: int) -> list[int]:
    """`order` running sums of `length` values after each other."""
    for _ in range(order):
        values = [sum(values[max(0, i - length + 1) : i + 1]) for i in range(len(values))]
    return list(values)


def split(
    samples: Sequence[int], r: int, high: tuple[int, int, int], low: tuple[int, int, int]
) -> tuple[list[int], list[int]]:
    """The low band, decimated by r, and the envelope, by 2 * r: running sums instead of integrators and combs."""
    places = r.bit_length() - 1
    high_pass, low_pass = Filter(*high, -1), Filter(*low, 1)
    high_pass.x = [samples[0], samples[0]]
    rectified = [abs(low_pass(high_pass(x))) for x in samples]
    shift = 4 * places
    band = [min(0x7FFF, (word(v) + (1 << shift >> 1)) >> shift) for v in boxcar(samples, r, 4)[r - 1 :: r]]
    shift = 3 * (places + 1)
    smooth = boxcar(rectified, 2 * r, 3)[2 * r - 1 :: 2 * r]
    return band, [(word(v) + (1 << shift >> 1)) >> shift for v in smooth]


def taper(samples: Sequence[int], mean: int, left: int, angles: Sequence[int]) -> list[int]:
    window = [math.floor(16384 * (1 - math.cos(2 * math.pi * a / 4096)) + 0.5) for a in angles]
    return [word(word((x - mean) * w) + (1 << 14 - left)) >> 15 - left for x, w in zip(samples, window, strict=True)]


def span(words: Sequence[int]) -> int:
    return max(0, max(x if x >= 0 else ~x for x in words).bit_length() - 15)


def energy(words: Sequence[int], shift: int) -> int:
    return sum((x >> shift) ** 2 for x in words)


def integrate(words: Sequence[int], gains: Sequence[int], shift: int, first: int, last: int) -> list[int]:
    out = list(words)
    for k in range(first, last):
        below, above = gains[k // 64], gains[k // 64 + 1]
        gain = below + ((above - below) * (k % 64) >> 6)
        for i in (2 * k, 2 * k + 1):
            out[i] = word((words[i] >> shift) * gain) // k
    return out


def powers(words: Sequence[int], shift: int) -> list[int]:
    return [word((x >> shift) ** 2 + (y >> shift) ** 2) for x, y in zip(words[::2], words[1::2], strict=True)]


def median(words: Sequence[int]) -> int:
    return sorted(words)[(len(words) - 1) // 2]
