"""The kernels of firmware/dsp in plain Python: written from what they mean, not from how they do it.

Whole numbers without limits, and each value that the device keeps in a word is checked to fit one (`word`): so these
also prove that the 32-bit kernels do not overflow on the signals they are run on.
"""

import math
from collections.abc import Sequence
from typing import Literal

Pair = tuple[int, int]


def word(value: int) -> int:
    assert -(2**31) <= value < 2**31, f"{value} does not fit 32 bits"
    return value


def gather(raw: bytes, count: int, stride: int, offset: int, order: Literal["little", "big"]) -> list[int]:
    return [
        int.from_bytes(raw[i * stride + offset : i * stride + offset + 2], order, signed=True) for i in range(count)
    ]


def power_sums(samples: Sequence[int]) -> list[int]:
    return [sum(x**power for x in samples) for power in (1, 2, 3, 4)]


def _windowed(samples: Sequence[int], window: Sequence[int], mean: int, left: int) -> list[int]:
    return [
        word(word((x - mean) * w) + (1 << (14 - left))) >> (15 - left) for x, w in zip(samples, window, strict=True)
    ]


def hann(samples: Sequence[int], mean: int, left: int) -> list[int]:
    """The block about its mean under the periodic Hann window in Q15, shifted left, rounded half up."""
    n = len(samples)
    window = [math.floor(16384 * (1 - math.cos(2 * math.pi * i / n)) + 0.5) for i in range(n)]
    return _windowed(samples, window, mean, left)


def _q15(product: int) -> int:
    return (word(product) + 16384) >> 15


def flat_top_window(n: int) -> list[int]:
    """The periodic flat-top window in Q15, as the polynomial that firmware/dsp/kernels.py gives."""
    window = []
    for i in range(n):
        c = math.ceil(32768 * abs(math.cos(2 * math.pi * i / n)) - 1e-9)
        square = _q15(c * c)
        odd = _q15(c * (5436 + _q15(10955 * square)))
        even = _q15(square * (16350 + _q15(1821 * square))) - 1794
        window.append(even - odd if i <= n // 4 or i >= n - n // 4 else even + odd)
    return window


def flat_top(samples: Sequence[int], mean: int, left: int) -> list[int]:
    return _windowed(samples, flat_top_window(len(samples)), mean, left)


def headroom(samples: Sequence[int]) -> int:
    return next(k for k in range(14, -1, -1) if all(-32768 <= x << k <= 32767 for x in samples))


def _turned(z: Pair, angle: float, growth: int) -> Pair:
    """z * exp(-j*angle), z rounded to a length of 2**17.5 and the factor to Q13."""
    drop = max(0, growth - 2)
    x, y = ((part + (1 << drop >> 1)) >> drop for part in z)
    c, s = round(8192 * math.cos(angle)), round(8192 * math.sin(angle))
    return word(word(x * c) + word(y * s)) >> (13 - drop), word(word(y * c) - word(x * s)) >> (13 - drop)


def _combined(a: Pair, b: Pair, c: Pair, d: Pair) -> list[Pair]:
    """A transform of length 4 over parts that are already turned; c - d turns by another right angle."""
    total, across = (c[0] + d[0], c[1] + d[1]), (c[1] - d[1], d[0] - c[0])
    up, down = (a[0] + b[0], a[1] + b[1]), (a[0] - b[0], a[1] - b[1])
    return [
        (word(up[0] + total[0]), word(up[1] + total[1])),
        (word(down[0] + across[0]), word(down[1] + across[1])),
        (word(up[0] - total[0]), word(up[1] - total[1])),
        (word(down[0] - across[0]), word(down[1] - across[1])),
    ]


def _leaf(z: list[Pair]) -> list[Pair]:
    if len(z) == 4:
        return _combined(z[0], z[2], z[1], z[3])
    even = _combined(z[0], z[4], z[2], z[6])
    odd = _combined(z[1], z[5], z[3], z[7])
    (x1, y1), (x3, y3) = odd[1], odd[3]
    turned = [
        odd[0],
        (word((x1 + y1) * 5793) >> 13, word((y1 - x1) * 5793) >> 13),
        (odd[2][1], -odd[2][0]),
        (word((y3 - x3) * 5793) >> 13, -(word((x3 + y3) * 5793) >> 13)),
    ]
    pairs = list(zip(even, turned, strict=True))
    return [(e[0] + o[0], e[1] + o[1]) for e, o in pairs] + [(e[0] - o[0], e[1] - o[1]) for e, o in pairs]


def _transform(z: list[Pair], first: int, step: int, leaf: int) -> list[Pair]:
    """The transform of every step-th pair from `first` on; places wrap round."""
    length = len(z) // step
    if length == leaf:
        return _leaf([z[(first + step * j) % len(z)] for j in range(leaf)])
    a, b, c, d = (_transform(z, first + places * step, 4 * step, leaf) for places in (0, 2, 1, -1))
    growth = (length // 4).bit_length() - 1
    columns = []
    for k in range(length // 4):
        angle = 2 * math.pi * k / length
        parts = _turned(b[k], 2 * angle, growth), _turned(c[k], angle, growth), _turned(d[k], -angle, growth)
        columns.append(_combined(a[k], *parts))
    return [column[row] for row in range(4) for column in columns]


def rfft(samples: Sequence[int]) -> tuple[int, list[int]]:
    """(exponent, words) as firmware/dsp/fft.py's RFFT.run gives them."""
    pairs = len(samples) // 2
    left = headroom(samples)
    z = [(samples[2 * i] << left, samples[2 * i + 1] << left) for i in range(pairs)]
    exponent = pairs.bit_length() - 1
    bins = _transform(z, 0, 1, 8 if exponent & 1 else 4)
    out = [0] * len(samples)
    out[0], out[1] = 2 * (bins[0][0] + bins[0][1]), 2 * (bins[0][0] - bins[0][1])
    for k in range(1, pairs // 2):
        (xr, xi), (yr, yi) = bins[k], bins[pairs - k]
        re, im = _turned((word(xi + yi), word(yr - xr)), math.pi * k / pairs, exponent)
        out[2 * k], out[2 * k + 1] = word(xr + yr + re), word(xi - yi + im)
        out[2 * (pairs - k)], out[2 * (pairs - k) + 1] = word(xr + yr - re), word(im - xi + yi)
    out[pairs], out[pairs + 1] = 2 * bins[pairs // 2][0], -2 * bins[pairs // 2][1]
    return left + 1, out


def strongest(spectrum: Sequence[int]) -> list[Pair]:
    """(power, bin) of up to eight local maxima above bin 1, strongest first, of two alike the lower bin first."""
    parts = [part if part >= 0 else ~part for part in spectrum[2:]]
    drop = max(0, max(parts).bit_length() - 15) + 1
    power = [(x >> drop) ** 2 + (y >> drop) ** 2 for x, y in zip(spectrum[::2], spectrum[1::2], strict=True)]
    maxima = [
        (power[k], k) for k in range(2, len(power) - 1) if power[k - 1] < power[k] >= power[k + 1] and power[k] > 16
    ]
    return sorted(maxima, key=lambda peak: (-peak[0], peak[1]))[:8]


def checksum(words: Sequence[int]) -> int:
    total = 0
    for value in words:
        total = (31 * total + value) % 2**30
    return total
