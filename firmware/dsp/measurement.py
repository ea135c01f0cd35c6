"""One measurement: up to 32,768 samples go through block by block; what stays is features, three spectra, a waveform.

While it streams, each block of 512 samples is worked into the power sums, into the low band (decimated to 4,096
values) and into the envelope (band-passed, rectified, decimated to 2,048 values); the first 4,096 samples are kept.
At the end three spectra are made, one after the other. All of that shares one arena, words in kB:

    streaming    [ -  4 ][ envelope 4 ][  low band 8  ][ block 1, - 7 ]    and the kept samples, 8
    1 envelope   [ -  4 ][ envelope 4 ][  low band 8  ][ transform  8 ]  -> its powers go to the first 4
    2 low band   [ powers ][ half, 4  ][ spectrum of 4,096 values,  16 ]
    3 samples    [ powers ][ half, 4  ][ spectrum of 4,096 samples, 16 ]

A spectrum of 4,096 values is joined from those of its even and its odd values: the tables of the transform stay at
2,048 (6 kB, and not 11) and no step needs more than its input beside its output.

Decimation. The envelope's rate is the lowest power-of-two part of the sample rate that is 1,500 Hz and more, which
leaves some 500 Hz free of mirror images: three harmonics of any bearing line of a machine at 1,500 1/min. The low
band's is twice that, 3,000 Hz and more, so that velocity up to 1,000 Hz needs no values near its end. 32,768 samples
at 26,667 Hz give lines 0.8 Hz apart in both.
"""

import math
from array import array
from sys import platform

import micropython
from micropython import const

from . import kernels, levels, streams, tables
from .fft import RFFT, SIGN32
from .lines import SHAFT_HZ, SURE, between, droop, is_multiple, shaft_speed
from .orders import Orders

if platform == "rp2":
    from .sums_thumb import energy, limit, span
    from .taper_thumb import taper
else:
    from .sums import energy, limit, span
    from .taper import taper

BLOCK = const(512)
# Of the envelope. The octave below belongs to gears and rotors: with it the recordings of MFPT have 5 dB more evidence
# in the mean, and in the blind ones of Case Western a cage was named that was an outer race.
BAND_HZ = (2000, 5000)

# Times its mean that a value of the envelope counts at most where lines are looked for: one knock of something else is
# no louder then than a flaw, which strikes again and again. As few as 5 may cut a flaw's own blows so that what aliases
# draws a line where the shaft is looked for (on a modelled machine); with more, knocks hide more.
_KNOCK = const(6)
_KEPT = const(4096)
_HALF = const(2048)
_ENVELOPE = const(2048)
_LOW = const(4096)
_SETTLED = const(64)  # four times the longest decimation fills the decimators of fourth order
_PEAKS = const(8)
_BANDS = const(8)
_FRACTION = const(20)  # bits behind the point of kurtosis and skew
_ENVELOPE_RATE = const(1500)
_SHORTEST_S = const(0.5)  # a velocity from 10 Hz needs at least five periods
_ROOT_HALF = const(46341)  # sqrt(1/2) in Q16
_ENERGY = const(16 / 3)  # 2 / (3/8): both sides of the spectrum, and the mean square of the Hann window
_TOP = const(0.4)  # of the low band's rate: above, what the decimator lets through of the mirror images counts


def _zeros(count):
    """An array of int16: a range has a length, and so the array is made at once, where bytes would lie beside it."""
    whole = array("h", range(count))
    view = memoryview(whole)
    some = array("h", bytes(512))
    for at in range(0, count, 256):
        view[at : at + 256] = some[: min(256, count - at)]
    return whole


class Measurement:
    """A measurement of n samples taken at about rate_hz. All buffers are made here: 38 kB, the code not counted.

    n: a power of two; None for as many as the spectra hold, 4,096 ... 32,768 after the rate. Fewer, down to a 32nd,
    give the same features at a coarser resolution; velocity is None under half a second.
    band: the envelope's band-pass, Hz; its upper end is moved down to 0.45 of the rate. None: 2,000 to 5,000 Hz, where
    most bearings ring, or the upper part of what a slower sensor sees. `bands_hz`: that band, one below and one above,
    for `tune`; `band`: the one of this measurement, `away`: its place among them, 0 at home.
    nominal_hz: the shaft's speed as configured, turns a second; None to look for it.
    slowest_hz: where velocity begins: 10, or 2 for a machine below 600 1/min (ISO 20816-3, 4.2.2).
    Raises ValueError.

    `target`, `at` and `left` say where the next samples go; tell `take` how many came. After `finish`:
    rms_g, peak_g (about the mean), crest, kurtosis (3 for noise), skew; velocity_mm_s (RMS) or None; envelope_g (RMS
    of the rectified band); peaks: up to 8 lines of the first 4,096 samples, flat as Hz, g, Hz ...; bands: RMS in g of
    the 8 octaves below half the rate, the lowest first; minimum, maximum (raw); shaft_hz, shaft_confidence; other_hz: a
    speed that shows where the configured one does not, or None; coarse: the envelope is below a step of the sensor.
    `samples`: the kept samples. `low` and `joined`: room for 4,096 values and for their spectrum, int32 pairs of bins 0
    ... 2,047, which others may use from one measurement to the next.
    spectrum, envelope_spectrum: 256 levels each, of dsp.levels; the former up to half the rate, its lower bins from
    the finer low band, the latter up to 1,024 * line_hz.
    """

    def __init__(self, rate_hz, band=None, n=None, nominal_hz=None, slowest_hz=10):
        rate = int(rate_hz)
        if not 1000 <= rate <= 100000:
            raise ValueError("measurement: expected a rate from 1000 to 100000 Hz, found {}".format(rate_hz))
        decimation = 16
        while decimation > 2 and rate < _ENVELOPE_RATE * decimation:
            decimation >>= 1
        full = _ENVELOPE * decimation
        self.n = n = n or full
        if n & (n - 1) or n > full or n < full >> 5 or n < 2 * BLOCK:
            raise ValueError(
                "measurement: expected a power of two from {} to {} samples, found {}".format(
                    max(full >> 5, 2 * BLOCK), full, n
                )
            )
        if not band:
            band = BAND_HZ if rate > 10000 else (rate // 5, rate // 2)
        low, high = band
        high = min(high, 0.45 * rate)
        if not 0.01 * rate <= low < high:
            raise ValueError(
                "measurement: expected an envelope band from {} to {} Hz, found {} to {}".format(
                    int(0.01 * rate), int(0.45 * rate), band[0], band[1]
                )
            )
        self.decimation = decimation
        self.stretch = full // n  # bins that a line is wide because there are fewer samples
        view = memoryview(_zeros(12 * 1024))  # the largest piece first
        self.powers = view[:_ENVELOPE]
        self._scratch = view[_ENVELOPE : 2 * _ENVELOPE]
        self.low = view[2 * _ENVELOPE : 2 * _ENVELOPE + _LOW]
        self._upper = view[2 * _ENVELOPE + _LOW :]
        self.joined = view[2 * _ENVELOPE :]  # the low band and what is above it, once both are used up
        self._fft = RFFT(_HALF)
        self._form = array("i", bytes(4 * 8))
        self.target = self.samples = _zeros(min(n, _KEPT))
        self.at = 0
        self.left = n
        self._sums = array("i", bytes(4 * 12))
        self._totals = array("i", bytes(4 * 13))
        self._best = array("i", bytes(4 * 2 * _PEAKS))
        self._split = split = array("i", bytes(4 * 39))
        split[0] = BLOCK
        split[1] = SIGN32
        split[8] = decimation >> 1
        places = 0
        while 1 << places < decimation:
            places += 1
        split[2] = 4 * (places - 1)
        split[3] = 3 * places
        above = (high, 0.45 * rate) if high < 0.35 * rate else (math.sqrt(low * high), high)
        self.bands_hz = ((low, high), (max(low / 2, 0.01 * rate), min(2 * low, high)), above)
        self._rate = rate
        self.away = 0
        self._tune(0)
        self._gains = array("H", (int(4096 * droop(k / _LOW, decimation >> 1, 4) + 0.5) for k in range(0, 1857, 64)))
        self.slowest_hz = slowest_hz
        self.nominal_hz = nominal_hz
        self.bands = [0.0] * _BANDS
        self.spectrum = bytearray(levels.BINS)
        self.envelope_spectrum = bytearray(levels.BINS)
        octaves = 1  # of the spectrum that lie above the lower quarter of the low band
        while 1 << octaves < decimation:
            octaves += 1
        finer = levels.BINS - 64 * octaves // 3
        least = 2 * self.stretch
        rate_lines = _LOW >> 1
        self._levels = (
            levels.form(0, finer, rate_lines * (decimation >> 1), least, 4, decimation >> 1),
            levels.form(finer, levels.BINS, rate_lines, least, 4, 1),
            levels.form(0, levels.BINS, 0, least, 3, decimation),
        )
        self.peaks = []
        self.minimum = self.maximum = 0
        self.rms_g = self.peak_g = self.crest = self.kurtosis = self.skew = self.envelope_g = 0.0
        self.velocity_mm_s = None
        self.line_hz = self.line_g = 0.0
        self.shaft_hz = None
        self.shaft_confidence = 0.0
        self.other_hz = None
        self.coarse = False
        self.tachometer_hz = None
        self.marks = None
        self.marked = 0
        self.tracked = False
        self.orders = Orders()
        self.begin()

    def tune(self, away):
        """Listen in that one of `bands_hz` from the next measurement on."""
        self._next = away

    def _tune(self, away):
        self._next = self.away = away
        self.band = low, high = self.bands_hz[away]
        split = self._split
        split[4], split[5], split[6] = _second_order(int(low) * 4096 // self._rate, 1)
        split[7], split[9], split[10] = _second_order(int(high) * 4096 // self._rate, -1)

    def begin(self):
        """Forget the last measurement; the next sample is the first."""
        if self._next != self.away:
            self._tune(self._next)
        for i in range(11, 39):
            self._split[i] = 0
        totals = self._totals
        for i in range(10):
            totals[i] = 0
        totals[10] = 0x7FFF
        totals[11] = -0x8000
        totals[12] = SIGN32
        self.target = self.samples
        self.at = 0
        self.left = BLOCK
        self._done = 0

    def take(self, count):
        """`count` samples, at most `left`, were put into `target` from `at` on; returns how many are still wanted.

        Allocates nothing. A full block is worked in at once: 5 ms on an RP2040.
        """
        self.at += count
        self.left -= count
        if self.left == 0:
            self._block()
        return self.n - self._done - (BLOCK - self.left if self.left else 0)

    @micropython.native  # bytecode with so many locals takes its frame from the heap, at each call
    def _block(self):
        split = self._split
        if self._done == 0:
            self._settle(self.samples[0])
        source = kernels.address(self.target)
        if self._done < len(self.samples):
            source += 2 * self._done
        kernels.moments(source, BLOCK, self._sums)
        streams.accumulate(self._sums, self._totals)
        streams.split(source, kernels.address(self.low), self._scratch, split)
        self._done += BLOCK
        if self._done < len(self.samples):
            self.at = self._done
        else:
            self.target = self._upper
            self.at = 0
        self.left = BLOCK if self._done < self.n else 0

    def _settle(self, value):
        """Bring the filters to where they stand when every sample so far was `value`: gravity is then no step."""
        split = self._split
        split[11] = split[12] = value
        for i in range(_SETTLED):
            self._upper[i] = value
        split[0] = _SETTLED
        streams.split(kernels.address(self._upper), kernels.address(self.low), self._scratch, split)
        split[0] = BLOCK
        for i in range(33, 39):
            split[i] = 0

    def finish(self, ug_per_lsb, rate_hz):
        """Work out everything but the lines, from n samples of ug_per_lsb micro-g at the measured rate_hz.

        Leaves the envelope's powers for `dsp.lines`: 1,024 words, bin k at k * line_hz.
        Raises ValueError when samples are missing.
        """
        if self._done < self.n:
            raise ValueError("measurement: {} of {} samples".format(self._done, self.n))
        self._statistics(ug_per_lsb)
        self._track(rate_hz)
        self._envelope(ug_per_lsb, rate_hz)
        self._velocity(ug_per_lsb, rate_hz)
        self._raw(ug_per_lsb, rate_hz)

    def _track(self, rate_hz):
        """Bring envelope and low band to even steps of the shaft's angle, where its speed changed."""
        whole_us = self.n * 1e6 / rate_hz
        marks = self.marks
        self.tracked = False
        n = self.marked
        while n and marks[n - 1] >= whole_us:
            n -= 1
        if n < 3:
            return
        from . import tracking  # few nodes have a tachometer

        if tracking.change(marks, n) <= tracking.STEADY:
            return
        count = _LOW // self.stretch
        tracking.track(self.low, self._upper, self._scratch, self.powers, count, marks, n, whole_us)
        self.low[:] = self._upper
        self._scratch[:] = self.powers
        self.tracked = True

    def stage(self):
        """The whole numbers behind the sums, and the filters' and decimators' constants and last state, as a tuple."""
        return tuple(self._totals[:12]) + tuple(self._split[2:])

    def _statistics(self, ug_per_lsb):
        n = self.n
        t = self._totals
        one = t[0]
        two = t[1] + (t[2] << 15)
        three = t[3] + (t[4] << 15) + (t[5] << 30)
        four = t[6] + (t[7] << 15) + (t[8] << 30) + (t[9] << 45)
        self.minimum = t[10]
        self.maximum = t[11]
        # Central moments without a division: n**2, n**3 and n**4 times the moment.
        second = n * two - one * one
        third = n * n * three - 3 * n * one * two + 2 * one * one * one
        fourth = n * n * (n * four - 4 * one * three) + one * one * (6 * n * two - 3 * one * one)
        root = math.sqrt(second)
        peak = max(n * self.maximum - one, one - n * self.minimum)
        g = ug_per_lsb * 1e-6 / n
        self.rms_g = root * g
        self.peak_g = peak * g
        self.crest = self.kurtosis = self.skew = 0.0
        if second:
            self.crest = peak / root
            self.kurtosis = ((fourth << _FRACTION) // (second * second)) / (1 << _FRACTION)
            self.skew = ((third << _FRACTION) // second) / (1 << _FRACTION) / root

    def _taper(self, source, out, count, stride, first):
        """Window `count` values about the mean that _center was told into out, and fill it up to 2,048 with zeros."""
        form = self._form
        form[0] = count
        form[4] = stride
        form[5] = first
        taper(source, out, tables.SINE, form)
        streams.clear(out, count, _HALF)

    def _center(self, mean, largest):
        """Tell _taper the mean, and that no value lies farther from it than `largest`; returns the left shift.

        The shift makes the values fill 16 bits; it is a right one for 17 bits, at one rail with the mean at the other.
        """
        left = 14
        while left >= 0 and largest << left > 0x7FFF:
            left -= 1
        form = self._form
        form[1] = mean
        form[2] = 15 - left
        form[3] = 1 << (14 - left)
        return left

    def transform(self, values, count, mean=None, largest=0):
        """Put the spectrum of `count` values, a power of two up to 4,096, under a Hann window into `joined`.

        The values may be `low`, which is lost.
        None lies farther from `mean` than `largest`. Without a mean that of all samples is taken: neither the kept ones
        nor the low band reach beyond the extremes of all. A line of amplitude A is A * count / 4 * 2**e; returns e.
        """
        if mean is None:
            mean = (2 * self._totals[0] + self.n) // (2 * self.n)
            largest = max(self.maximum - mean, mean - self.minimum)
        left = self._center(mean, largest)
        form = self._form
        form[6] = 2 * _LOW // count
        half = count >> 1
        self._taper(kernels.address(values) + 2, self._scratch, half, 2, form[6] >> 1)
        odd = self._fft.run(self._scratch, self._upper)
        self._taper(values, self._scratch, half, 2, 0)
        even = self._fft.run(self._scratch, self.low)
        exponent = min(even, odd)
        form[0] = SIGN32
        form[1] = even - exponent
        form[2] = odd - exponent
        streams.join(self.low, self._upper, tables.SINE, form)
        return exponent + left

    def _envelope(self, ug_per_lsb, rate_hz):
        count = _ENVELOPE // self.stretch
        envelope = self._scratch
        s = self._split
        self.envelope_g = math.sqrt((s[37] + s[38] * 32768.0) / count) * ug_per_lsb * 1e-6
        # s[36], the largest value, fits 15 bits
        most = min(_KNOCK * s[35] // count + 1, s[36])
        mean = limit(envelope, count, most) // count
        left = self._center(mean, max(mean, most - mean))
        form = self._form
        form[6] = 4096 // count
        self._taper(envelope, envelope, count, 1, 0)
        exponent = self._fft.run(envelope, self._upper) + left
        form[0] = SIGN32
        form[1] = shift = span(self._upper, 1, _ENVELOPE >> 1, form) + 1
        streams.powers(self._upper, _ENVELOPE >> 1, form)
        self.powers[:] = self._upper[:_ENVELOPE]
        self.line_hz = rate_hz / self.decimation / _ENVELOPE
        # a line's amplitude is 4 * |X| / n under the Hann window (2 for the two sides, 2 for the window)
        self.line_g = 4e-6 * ug_per_lsb / count * 2.0 ** (shift - exponent)
        levels.fill(self.powers, self.envelope_spectrum, self._levels[2], self.line_g)

    def _velocity(self, ug_per_lsb, rate_hz):
        """RMS velocity from slowest_hz to 1,000 Hz: the acceleration's bins, each divided by its frequency.

        Leaves the powers of velocity at the lowest 1,024 bins, from which the shaft's speed is read.
        """
        low_rate = rate_hz / (self.decimation >> 1)
        width = low_rate / _LOW
        count = _LOW // self.stretch
        exponent = self.transform(self.low, count)
        levels.fill(self.joined, self.spectrum, self._levels[0], 4e-6 * ug_per_lsb / count * 2.0**-exponent)
        form = self._form
        first = max(1, int(self.slowest_hz / width + 0.5))
        last = int(min(1000.0, _TOP * low_rate) / width + 0.5) + 1
        lowest = max(1, int(min(self.slowest_hz, SHAFT_HZ[0]) / width + 0.5))
        form[1] = shift = span(self.joined, lowest, last, form)
        form[2] = lowest
        form[3] = last
        streams.integrate(self.joined, self._gains, form)
        form[1] = again = span(self.joined, first, last, form)
        energy(self.joined, first, last, form)
        square = (form[2] + form[3] * 32768.0) * _ENERGY
        scale = 2.0 ** (shift + again - exponent - 12) / count * ug_per_lsb * 9.80665e-3 / (2 * math.pi * width)
        self.velocity_mm_s = math.sqrt(square) * scale if count / low_rate >= _SHORTEST_S else None
        again = max(again, span(self.joined, lowest, first, form))
        form[1] = again + 1
        streams.powers(self.joined, _LOW >> 2, form)
        streams.clear(self.joined, 0, 2 * lowest)  # what is below was not divided, and says nothing
        # Drift crosses the sensor's steps one by one and so draws lines, of up to 1/pi step: let that be height 4.
        # Noise hides them, above one step in the envelope's band also where the low band is decimated most.
        step = streams.step(self.samples, len(self.samples))
        steps = 0.0
        self.coarse = self.envelope_g < step * ug_per_lsb * 1e-6
        if self.coarse:
            steps = (step * count / (16 * math.pi) * 2.0 ** (exponent + 11 - shift - again)) ** 2
        found = self.joined, lowest, _LOW >> 2, width, self.stretch
        self.shaft_hz, self.shaft_confidence = shaft_speed(*found, self.nominal_hz, steps)
        self.other_hz = None
        if self.nominal_hz and self.shaft_confidence < SURE:
            other_hz, confidence = shaft_speed(*found, None, steps)
            if confidence >= SURE and not is_multiple(other_hz, self.nominal_hz):
                self.other_hz = other_hz
        if self.tachometer_hz:
            self.shaft_hz = self.tachometer_hz
            self.shaft_confidence = 1.0
        self.orders.fault = None
        if self.shaft_confidence >= SURE and self.stretch == 1:
            self.orders.run(self.joined, first, _LOW >> 2, width, self.shaft_hz)

    def _raw(self, ug_per_lsb, rate_hz):
        """Bands and peaks of the kept samples."""
        kept = len(self.samples)
        exponent = self.transform(self.samples, kept)
        form = self._form
        spectrum = self.joined
        form[1] = span(spectrum, 1, _LOW >> 1, form) + 1
        kernels.strongest(spectrum, _LOW >> 1, form, self._best)
        g = ug_per_lsb * 1e-6 / kept * 2.0**-exponent
        levels.fill(self.joined, self.spectrum, self._levels[1], 4 * g)
        self._lines(4 * g, rate_hz / _LOW)
        last = _LOW >> 1
        for i in range(_BANDS - 1, -1, -1):
            form[1] = shift = span(spectrum, last >> 1, last, form)
            energy(spectrum, last >> 1, last, form)
            self.bands[i] = math.sqrt((form[2] + form[3] * 32768.0) * _ENERGY) * g * 2.0**shift
            last >>= 1

    def _lines(self, amplitude, width):
        """Frequency and amplitude of the strongest bins, from each and the larger of its neighbours.

        A short measurement's line is `stretch` bins wide: its neighbours are looked at so far away.
        """
        best = self._best
        far = _LOW // len(self.samples)
        form = self._form
        peaks = self.peaks
        del peaks[:]
        for i in range(_PEAKS):
            if not best[i]:
                break
            k = best[_PEAKS + i]
            streams.neighbours(self.joined, k, far, form)
            here = math.sqrt(form[3])
            d, scale = between(math.sqrt(form[2]), here, math.sqrt(form[4]))
            peaks.append((k + d * far) * width)
            peaks.append(here * scale * amplitude * (1 << form[1]))


def _turn(step):
    """(sin, cos) in Q16 of step/4096 of a turn, step up to half a turn; integers, the same on every board."""
    table = tables.SINE
    rest = step if step <= 1024 else 2048 - step
    sine = table[2 * rest] | table[2 * rest + 1] << 8
    rest = 1024 - rest
    cosine = table[2 * rest] | table[2 * rest + 1] << 8
    return sine, cosine if step <= 1024 else -cosine


def _second_order(step, sign):
    """(b, -a1, -a2) in Q13 of a Butterworth filter of second order with its edge at step/4096 of the rate.

    sign 1 a high-pass, -1 a low-pass; the bilinear transform, Q = 1/sqrt(2).
    """
    sine, cosine = _turn(step)
    alpha = sine * _ROOT_HALF >> 16
    whole = 65536 + alpha
    b = ((65536 + sign * cosine) * 4096 + whole // 2) // whole
    return b, 2 * cosine * 8192 // whole, -(65536 - alpha) * 8192 // whole
