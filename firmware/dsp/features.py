"""What a block of acceleration says: RMS, peak, crest factor, kurtosis, and its strongest spectral lines.

Everything up to the last division is whole numbers, the same on every board: exact power sums, the windowed block
and its spectrum, the choice of the lines. `stage` shows them.

The spectrum is one transform over the whole block, not an average over shorter ones: rotating machines are told
apart by lines a few hertz from each other (shaft harmonics at 30 Hz, sidebands at less), and 4,096 samples at
26,667 Hz separate 13 Hz under the Hann window where 1,024 need 52. Averages would smooth noise, which the lines
stand above anyway; one transform costs less time than seven overlapping short ones, and no accumulator. With 4,096
samples, the engine takes 29 kB beside the block: its spectrum 16, the transform's tables 11, the sine 2.
"""

import math
from array import array

from micropython import const

from . import kernels, tables
from .fft import RFFT, SIGN32

_TURN = const(4096)  # steps of the sine table to the full turn
_SMALLEST = const(256)
_LARGEST = const(4096)
_PEAKS = const(8)
_FRACTION = const(20)  # bits behind the point of the kurtosis


class Features:
    """The features of blocks of n samples, n = 256, 512 ... 4096. All buffers are made here.

    After `run`: rms_g, peak_g (both about the mean, in g), crest (peak / RMS), kurtosis (3 for noise; not excess),
    peaks: up to eight lines, the strongest bin first, flat as frequency in Hz, amplitude in g, frequency ...,
    minimum, maximum (of the raw samples). Where nothing moves, the first four are 0 and there are no peaks.
    """

    def __init__(self, n):
        if n < _SMALLEST or n > _LARGEST or n & (n - 1):
            raise ValueError("features: expected a power of two from 256 to 4096 samples, found {}".format(n))
        self.n = n
        self.rms_g = 0.0
        self.peak_g = 0.0
        self.crest = 0.0
        self.kurtosis = 0.0
        self.peaks = []
        self.minimum = 0
        self.maximum = 0
        self._fft = RFFT(n)
        self._spectrum = array("i", bytes(4 * n))
        self._sums = array("i", bytes(4 * 12))
        self._window = array("i", (n, 0, 0, 0, _TURN // n))
        self._search = array("i", (SIGN32,))
        self._best = array("i", bytes(4 * 2 * _PEAKS))
        self._powers = (0, 0, 0, 0)
        self._exponent = 0

    def run(self, samples, count, ug_per_lsb, rate_hz):
        """Analyse samples, array('h') of count = n values of ug_per_lsb micro-g, taken at rate_hz; uses them up.

        The window is laid over the block in place: a copy would cost 8 kB of heap.

        Raises ValueError if there are not n of them.
        """
        if count != self.n or len(samples) < count:
            raise ValueError("features: expected {} samples, found {}".format(self.n, min(count, len(samples))))
        kernels.moments(samples, count, self._sums)
        self._statistics(ug_per_lsb)
        self._transform(samples)
        kernels.strongest(self._spectrum, self.n >> 1, self._search, self._best)
        self._lines(ug_per_lsb, rate_hz)

    def stage(self):
        """The whole numbers behind the last result, equal on every board for equal samples, as a tuple.

        Sums of x, x**2, x**3, x**4; minimum, maximum; the spectrum's exponent and checksum; its strongest bins.
        """
        checksum = kernels.checksum(self._spectrum, self.n)
        return self._powers + (self.minimum, self.maximum, self._exponent, checksum) + tuple(self._best[_PEAKS:])

    def _statistics(self, ug_per_lsb):
        n = self.n
        sums = self._sums
        one = sums[0]
        two = sums[1] + (sums[2] << 15)
        three = sums[3] + (sums[4] << 15) + (sums[5] << 30)
        four = sums[6] + (sums[7] << 15) + (sums[8] << 30) + (sums[9] << 45)
        self._powers = (one, two, three, four)
        self.minimum = sums[10]
        self.maximum = sums[11]
        # Central moments without a division: second = n**2 * variance, fourth = n**4 * 4th moment about the mean.
        second = n * two - one * one
        fourth = n * n * (n * four - 4 * one * three) + one * one * (6 * n * two - 3 * one * one)
        peak = max(n * self.maximum - one, one - n * self.minimum)  # n times the peak
        root = math.sqrt(second)  # n times the RMS
        g = ug_per_lsb * 1e-6 / n
        self.rms_g = root * g
        self.peak_g = peak * g
        self.crest = peak / root if second else 0.0
        self.kurtosis = ((fourth << _FRACTION) // (second * second)) / (1 << _FRACTION) if second else 0.0

    def _transform(self, samples):
        """Window the block about its mean, shifted left until it fills 16 bits, and transform it."""
        n = self.n
        mean = (2 * self._sums[0] + n) // (2 * n)
        largest = max(self.maximum - mean, mean - self.minimum)
        left = 14
        while left >= 0 and largest << left > 0x7FFF:
            left -= 1
        if left < 0:
            left = -1  # a block at one rail with its mean near the other: 17 bits
        form = self._window
        form[1] = mean
        form[2] = 15 - left
        form[3] = 1 << (14 - left)
        kernels.hann(samples, samples, tables.SINE, form)
        self._exponent = self._fft.run(samples, self._spectrum) + left

    def _lines(self, ug_per_lsb, rate_hz):
        """Frequency and amplitude of the strongest bins, from each and the larger of its neighbours.

        Under the Hann window a line d bins from the middle of bin k, towards k+1, gives there
        A * sinc(d) / (1 - d**2), and |X[k+1]| / |X[k]| = (1 + d) / (2 - d): solve for d, then for A.
        """
        best = self._best
        del self.peaks[:]
        amplitude = 4e-6 * ug_per_lsb / self.n * 2.0**-self._exponent  # of a line in the middle of its bin
        for i in range(_PEAKS):
            if not best[i]:
                break
            k = best[_PEAKS + i]
            here = self._magnitude(k)
            below = self._magnitude(k - 1)
            above = self._magnitude(k + 1)
            ratio = max(below, above) / here
            # Noise may make the ratio less than a line can; it is then in the middle.
            d = min(max((2 * ratio - 1) / (ratio + 1), 0.0), 0.5)
            turn = math.pi * d
            if d > 1e-3:
                here *= turn * (1 - d * d) / math.sin(turn)
            self.peaks.append((k + (d if above >= below else -d)) * rate_hz / self.n)
            self.peaks.append(here * amplitude)

    def _magnitude(self, k):
        real = float(self._spectrum[2 * k])
        imaginary = float(self._spectrum[2 * k + 1])
        return math.sqrt(real * real + imaginary * imaginary)
