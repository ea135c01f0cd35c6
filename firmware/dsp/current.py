"""A motor's current: how strong it is, the line of its supply, and what stands on both sides of that line.

A broken bar turns with the rotor and has the current swing at twice the slip's frequency: a pair of sidebands stands 1
to 5 Hz from the line (Thomson and Fenger, IEEE Industry Applications Magazine 7(4), 2001). A load that swings draws one
too: what is told is the pair, and no verdict.

The line is up to a thousand times as high as such a pair, and its foot under the Hann window, which falls as 1 / d**3,
reaches over it. So the foot is taken off, by the line's own bin: all bins of a tone lie on C / (d * (d**2 - 1)), with C
one complex number and d their distance from it in bins. What is left is held against the median of both sides.
"""

import math
from array import array

from micropython import const

from . import kernels, streams
from .fft import SIGN32
from .lines import between

_COUNT = const(4096)
_RATE_HZ = const(1000)
_NEAREST = const(3)  # bins from the line: nearer, the Hann window does not tell two lines apart
_FARTHEST_HZ = const(6.0)
_OFF_HZ = const(2.0)  # how far the line may be from its nominal frequency
_MIDDLE = const(40)  # bins that are looked at on each side of the nominal frequency
_SEEN = const(4.0)  # of dsp.lines: a height that noise does not reach
_CLEAR = const(40)  # the height of a line whose sidebands may be looked for: 20 dB above that


class Current:
    """Takes 4,096 samples of a current as node.capture hands them on, and finds the line and its sidebands.

    measurement: of dsp.measurement, whose room the samples and their spectrum use: from one of its own to the next.
    line_hz: the supply's nominal frequency.

    After `measure`: current_a, RMS about the mean; minimum, maximum (raw). After `look`: line_hz, or None where none
    stands clear of the noise; sidebands of it: half their distance in Hz, their mean level in dB against the line, both
    None where no pair stands, and the level in dB that noise reaches, below which none would be seen.
    """

    n = _COUNT

    def __init__(self, measurement, line_hz):
        self._measurement = measurement
        self._nominal_hz = line_hz
        self.target = measurement.low
        self.at = self.left = 0
        self._sums = array("i", bytes(4 * 12))
        self._form = array("i", (SIGN32,))
        self._real = array("f", bytes(4 * (2 * _MIDDLE + 1)))
        self._imaginary = array("f", self._real)
        self._heights = array("f", self._real)
        self.minimum = self.maximum = 0
        self.current_a = 0.0
        self.line_hz = self.sidebands = None

    def begin(self):
        """Forget the last measurement; the next sample is the first."""
        self.at = 0
        self.left = _COUNT

    def take(self, count):
        """`count` samples were put into `target` from `at` on; returns how many are still wanted."""
        self.at += count
        self.left -= count
        return self.left

    def measure(self, ua_per_lsb):
        """Work out how strong the current is, from samples of ua_per_lsb microamperes."""
        sums = self._sums
        kernels.moments(self.target, _COUNT, sums)
        self.minimum = sums[10]
        self.maximum = sums[11]
        square = _COUNT * (sums[1] + (sums[2] << 15)) - sums[0] * sums[0]
        self.current_a = math.sqrt(square) / _COUNT * ua_per_lsb * 1e-6
        self.line_hz = self.sidebands = None

    def look(self, rate_hz):
        """Look for the line and its sidebands, in samples taken at the measured rate_hz without a gap.

        Raises ValueError where that is not about 1,000 Hz.
        """
        if not 0.9 * _RATE_HZ < rate_hz < 1.1 * _RATE_HZ:
            raise ValueError("{:.0f} samples/s: expected {}".format(rate_hz, _RATE_HZ))
        mean = (2 * self._sums[0] + _COUNT) // (2 * _COUNT)
        self._measurement.transform(self.target, _COUNT, mean, max(self.maximum - mean, mean - self.minimum))
        width = rate_hz / _COUNT
        first = int(self._nominal_hz / width + 0.5) - _MIDDLE
        words = self._measurement.joined
        real, imaginary, heights = self._real, self._imaginary, self._heights
        for i in range(2 * _MIDDLE + 1):
            real[i] = streams.word(words, 2 * (first + i), self._form)
            imaginary[i] = streams.word(words, 2 * (first + i) + 1, self._form)
            heights[i] = math.sqrt(real[i] * real[i] + imaginary[i] * imaginary[i])
        off = int(_OFF_HZ / width)
        k = max(range(_MIDDLE - off, _MIDDLE + off + 1), key=lambda i: heights[i])
        if not self._is_peak(k) or heights[k] <= _CLEAR * sorted(heights)[_MIDDLE]:
            return
        d, scale = self._between(k)
        line = heights[k] * scale
        self.line_hz = (first + k + d) * width
        self._level(k, d)
        last = int(_FARTHEST_HZ / width)
        sides = sorted(heights[i] for i in range(k - last, k + last + 1) if abs(i - k) >= _NEAREST)
        least = _SEEN * max(sides[len(sides) // 2], 1.0)
        apart, both = self._pair(k, k + d, last, least)
        level_db = 10 * math.log10(both) - 20 * math.log10(line) if both else None
        self.sidebands = [apart * width if both else None, level_db, 20 * math.log10(least / line)]

    def _between(self, i):
        heights = self._heights
        return between(heights[i - 1], heights[i], heights[i + 1])

    def _is_peak(self, i):
        heights = self._heights
        return heights[i - 1] < heights[i] >= heights[i + 1]

    def _level(self, k, d):
        """Take the foot of the line, which lies d bins above bin k, off all others but its own four neighbours."""
        real, imaginary = self._real, self._imaginary
        c = d * (1 - d * d)
        for i in range(2 * _MIDDLE + 1):
            if abs(i - k) >= _NEAREST - 1:
                y = i - k - d
                part = c / (y * (y * y - 1))
                re = real[i] - part * real[k]
                im = imaginary[i] - part * imaginary[k]
                self._heights[i] = math.sqrt(re * re + im * im)

    def _pair(self, k, at, last, least):
        """(half their distance in bins, product of their heights) of the highest pair about the line at place `at`.

        Both stand above `least`; (0, 0): none does.
        """
        heights = self._heights
        apart = best = 0.0
        for i in range(k - last, k - _NEAREST + 1):
            if heights[i] <= least or not self._is_peak(i):
                continue
            d, scale = self._between(i)
            mirror = 2 * at - i - d
            j = int(mirror + 0.5)
            j = max((j - 1, j, j + 1), key=lambda i: heights[i])
            if heights[j] <= least or not self._is_peak(j) or j < k + _NEAREST:
                continue
            other, scaled = self._between(j)
            both = heights[i] * scale * heights[j] * scaled
            if both > best and abs(j + other - mirror) <= 1:
                apart, best = (j + other - i - d) / 2, both
        return apart, best
