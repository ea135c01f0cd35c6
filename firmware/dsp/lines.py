"""Lines in the spectra of a measurement: the shaft's speed, and the four lines that a damaged bearing draws.

All of it works on powers (30-bit words). A line's height is its amplitude over that of the background, which is the
median of the bins around it: noise alone gives powers spread exponentially about it, and a height above 4 (12 dB) in
one bin of 20,000 (2 ** -16).

That holds where the background is level. A speed is looked for where it seldom is: drift falls steeply, a band of noise
has edges, and either stands high above the median of all that is around. So a speed's line must also stand above its
close neighbours on both sides, `_sharp`. Radar tells targets from clutter so: by an ordered statistic (Rohling, IEEE
AES 19(4), 1983) of the greater side (Hansen and Sawyers, IEEE AES 16(1), 1980). Then noise claims a speed, with a
confidence of 0.5 or more, in less than one measurement of 1,000; tools/speed_in_noise.py counts it. A band as narrow as
6 lines (5 Hz at full length) still passes for a line in one of ten.
"""

import math
from array import array

import micropython
from micropython import const

from . import streams
from .fft import SIGN32

_AROUND = const(24)  # bins of background on each side: with 49 the median is right to 1.5 dB
_NEAR = const(6)  # bins that a speed's line is held against, on each side from the second on: the first is its own
_HARMONICS = const(3)
_WEIGHED = const(8)  # harmonics that are evidence: of the line of an outer race at 1,500 1/min those within 750 Hz
_BALL = const(2)  # of LINES
_CAGE = const(3)
# rolling elements slip: lines lie up to 1 % off the kinematic ones (Randall and Antoni, MSSP 25, 2011)
_CREEP = const(0.01)
_SLIP = const(0.05)  # an induction motor's speed lies up to 5 % off its nominal one, from no load to overload
SHAFT_HZ = (5.0, 100.0)  # where a speed is looked for that nobody configured: 300 ... 6,000 1/min
SURE = 0.5  # from this confidence on a speed is taken to be right
# A fault that is named has two signs at least and 24 dB: harmonics 1 and 2 at 12 dB above _SEEN each, or more of them
# that are lower. dsp.diagnosis says why so many.
SIGNS = const(2)
EVIDENCE = 24.0
_RIGHT = const(0.25)  # bins: how far off the place of a line that stands is read, at most
_SEEN = const(4.0)  # height of a line that is there: see above; streams.standing knows it too

_form = array("i", (SIGN32, 0, 0))


@micropython.native  # a frame of bytecode would be taken from the heap at each call
def height(powers, k, bins, reach):
    """Amplitude of bin k over the median of those around it, leaving out none: a line of 3 bins does not move it."""
    background = streams.median(powers, max(1, k - reach), min(bins, k + reach + 1))
    return math.sqrt(streams.word(powers, k, _form) / max(background, 1))


def _sharp(powers, k, first, bins, stretch, slope, steps):
    """Amplitude of bin k over the higher of its two sides, each the median of its bins, and over the sensor's steps.

    first: the lowest bin that counts; of a lower side cut short by it, the highest bin. slope: white noise falls as
    that power of k; where there is no lower side it may be drift, which falls by four powers more. steps: power that
    the sensor's steps may draw in bin 1.
    """
    above = k + 2 * stretch
    below = k + 1 - 2 * stretch
    last = min(bins, above + _NEAR * stretch)
    start = max(first, below - _NEAR * stretch)
    cut = below - stretch  # the line's own foot moves no median, but would be the highest
    fall = slope if cut > start else slope + 4
    side = streams.median(powers, above, last) * ((above + last - 1) / (2 * k)) ** fall
    if below - start > _NEAR // 2 * stretch:
        side = max(side, streams.median(powers, start, below) * ((start + below - 1) / (2 * k)) ** slope)
    elif cut > start:
        side = max(side, streams.word(powers, streams.highest(powers, start, cut), _form))
    return math.sqrt(streams.word(powers, k, _form) / max(side, steps / k**slope, 1))


def between(below, here, above):
    """(d, scale) of a line by the amplitudes of its highest bin and of the two beside it: how far above that bin it
    lies, in bins, and by how much it is higher.

    Under the Hann window a line d bins from the middle of bin k, towards k+1, gives there
    A * sinc(d) / (1 - d**2), and |X[k+1]| / |X[k]| = (1 + d) / (2 - d): solve for d, then for A.
    """
    ratio = max(below, above) / here
    d = min((2 * ratio - 1) / (ratio + 1), 0.5)
    if d <= 1e-3:
        return 0.0, 1.0
    turn = math.pi * d
    return d if above >= below else -d, turn * (1 - d * d) / math.sin(turn)


def _place(powers, k):
    """(place, scale): where the line in bin k lies between the bins, and by how much it is higher than the bin."""
    here = math.sqrt(max(1, streams.word(powers, k, _form)))
    below = math.sqrt(streams.word(powers, k - 1, _form))
    above = math.sqrt(streams.word(powers, k + 1, _form))
    d, scale = between(below, here, above)
    return k + d, scale


def _tallest(powers, place, reach, bins, around):
    """(bin, height) of the highest bin within `reach` of place; height 0 where the spectrum does not go."""
    first = max(2, math.ceil(place - reach))
    last = math.floor(place + reach) + 1
    if first >= last or last >= bins:
        return 0, 0.0
    k = streams.highest(powers, first, last)
    return k, height(powers, k, bins, around)


def _is_peak(powers, k):
    """Whether bin k is above both its neighbours: else it is the foot of another line."""
    return streams.word(powers, k, _form) > max(streams.word(powers, k - 1, _form), streams.word(powers, k + 1, _form))


def _is_smeared(powers, k, stretch):
    """Whether the power falls slowly on both sides of bin k, to no less than a 16th in the third bin: no line stood
    there, one moved.

    A tone leaves less than a 1,000th there under the Hann window, and the widest line of a machine at steady speed that
    was seen a 100th. What moves over n bins leaves cos(3 * pi / n)**4, so a 16th for n = 9: BPFO at 90 Hz, by 8 %.
    """
    least = streams.word(powers, k, _form) >> 4
    for side in (-stretch, stretch):
        third = streams.word(powers, k + 3 * side, _form)
        if third <= least or third >= streams.word(powers, k + 2 * side, _form):
            return False
    return True


def _standing(powers, place, reach, bins, around):
    """(height, place) of the highest bin within `reach` of a place, if it stands; else (0, place): without a median."""
    first = max(2, math.ceil(place - reach))
    last = math.floor(place + reach) + 1
    if first < last < bins:
        k = streams.highest(powers, first, last)
        _form[1] = around
        _form[2] = bins
        if streams.standing(powers, k, k + 1, _form) == k:
            return height(powers, k, bins, around), _place(powers, k)[0]
    return 0.0, place


def _higher_below(powers, k, first, bins, width, stretch, slope):
    """Whether a line as high as the one in bin k stands below it, from the slowest speed on."""
    _form[1] = _AROUND * stretch
    _form[2] = bins
    last = k - 1
    j = max(first, int(SHAFT_HZ[0] / width))
    while True:
        j = streams.standing(powers, j, last, _form)
        if j >= last:
            return False
        if streams.word(powers, j, _form) >= streams.word(powers, k, _form):
            if _sharp(powers, j, first, bins, stretch, slope, 0) > _SEEN:
                return True
        j += 1


def seen_speed(powers, first, bins, width, stretch, nominal_hz, slope=0, steps=0):
    """(speed in Hz, confidence 0 ... 1) of the line near the nominal speed; (nominal_hz, 0) where none is in sight.

    Its own line alone counts: at twice the speed there are also other machines' lines. And none below it may be as
    high: harmonics of the true speed, and differences between them and a race's line, pass for a speed else.
    slope, steps: of `_sharp`.
    """
    at = nominal_hz / width
    k, tall = _tallest(powers, at, _SLIP * at + 1, bins, _AROUND * stretch)
    # at the edge of the search it is the foot of another line, and the speed is not where it should be
    if k > first and tall > _SEEN and _is_peak(powers, k):
        tall = min(tall, _sharp(powers, k, first, bins, stretch, slope, steps))
        if tall > _SEEN and not _higher_below(powers, k, first, bins, width, stretch, slope):
            return _place(powers, k)[0] * width, 1 - _SEEN / tall
    return nominal_hz, 0.0


def shaft_speed(powers, first, bins, width, stretch, nominal_hz, steps):
    """(speed in Hz or None, confidence 0 ... 1) from the powers of velocity; bins are `width` Hz apart.

    A speed that is configured is looked for nearby. One that is not is the line whose harmonics stand highest together.
    Confidence is 1 - 4 / height, so 0 for what noise draws, where the height is the lesser of `height` and `_sharp`;
    without a nominal speed it is no more than how far the line's score is above the next: 0 when another line, no
    harmonic of the first, or one that the first may be a harmonic of, stands as high. steps: of `_sharp`.
    """
    if stretch > 2:
        return nominal_hz, 0.0  # the bins are too coarse to tell a speed
    if nominal_hz:
        return seen_speed(powers, first, bins, width, stretch, nominal_hz, 2, steps)
    around = _AROUND * stretch
    best = second = found = own = 0.0
    _form[1] = around
    _form[2] = bins
    last = min(bins - 1, int(SHAFT_HZ[1] / width))
    k = first
    while True:
        k = streams.standing(powers, k + 1, last, _form)
        if k >= last:
            break
        tall = height(powers, k, bins, around)
        sharp = min(tall, _sharp(powers, k, first, bins, stretch, 2, steps))
        if sharp <= _SEEN:  # a slope, an edge, or next to nothing over nothing
            continue
        at, _ = _place(powers, k)
        turns = at / found if found else 0.5
        harmonic = abs(turns - round(turns)) <= 0.05
        if harmonic and 1.5 < turns < _HARMONICS + 0.5:
            continue
        score = math.log(tall / _SEEN)
        for times in range(2, _HARMONICS + 2):
            _, other = _tallest(powers, times * at, 1.5 * stretch, bins, around)
            if other > _SEEN:
                score += math.log(other / _SEEN)
        if score > best:
            second, best, found, own = best, score, at, sharp
        elif score > second and not harmonic:
            second = score
    if not found:
        return None, 0.0
    return found * width, 1 - max(_SEEN / own, second / best)


def is_multiple(speed_hz, nominal_hz):
    """Whether a speed may be one of the first three harmonics of the nominal speed, which is up to _SLIP off."""
    turns = max(1, round(speed_hz / nominal_hz))
    return turns <= _HARMONICS and abs(speed_hz - turns * nominal_hz) <= _SLIP * turns * nominal_hz


def droop(place, decimation, order):
    """How much a decimator of that order weakens a tone at `place` (a part of the rate that leaves it), inverted."""
    x = math.pi * place
    if x < 1e-6:
        return 1.0
    return (decimation * math.sin(x / decimation) / math.sin(x)) ** order


def _is_harmonic(powers, k, at, reach, stretch):
    """Whether a higher line than bin k's is at half or a third of its place: then that one is the fundamental.

    Blows in a row draw harmonics that fall; so it is at two and three times the true speed. A bearing's line near the
    shaft's third harmonic is none: each place is right to a quarter of a bin, the harmonic of one to as many times.
    """
    for part in range(2, _HARMONICS + 1):
        first = max(2, math.ceil(at / part - reach))
        below = streams.highest(powers, first, max(first, math.floor(at / part + reach)) + 1)
        if streams.word(powers, below, _form) > streams.word(powers, k, _form):
            if abs(part * _place(powers, below)[0] - at) <= _RIGHT * (part + 1) * stretch:
                return True
    return False


def needed(i, pair):
    """How many dB of evidence line i needs to be named. A ball's line with a pair about it is drawn by nothing else."""
    return EVIDENCE / 2 if i == _BALL and pair else EVIDENCE


def _sidebands(powers, at, apart, slip, reach, bins, around):
    """(half their distance, height) of the higher pair of sidebands about harmonics 1 and 2 of a line; (0, 0): none.

    apart: that distance, up to `slip` off. height: the geometric mean of the two.
    """
    best = (0.0, 0.0)
    reach += slip * apart
    if apart - reach < 3:  # bins: they would be the line's own foot
        return best
    for harmonic in (1, 2):
        low, below = _standing(powers, harmonic * at - apart, reach, bins, around)
        if low:
            high, above = _standing(powers, harmonic * at + apart, reach, bins, around)
            if low * high > best[1] ** 2:
                best = (above - below) / 2, math.sqrt(low * high)
    return best


class Lines:
    """Looks for a bearing's lines in the envelope. ratios: BPFO, BPFI, BSF and FTF, each a turn of the shaft.

    After `run`, for each of LINES: hz, g (amplitude of the first harmonic), heights (of harmonics 1 ... 3, flat);
    score: the geometric mean of the heights of harmonics 1 and 2, 0 for a line that is not there, whose place is a
    multiple of the shaft's speed, which is a harmonic or a sideband of a higher one, or which is above the envelope's
    band;
    evidence: by how many dB its harmonics 1 ... 8 stand above _SEEN, added up, and so the ball's sidebands; 0 where the
    score is; signs: how many of them do, and one more for a pair of sidebands: at the shaft's speed about a race's
    line, for a flaw that turns comes and goes with the load, at once or twice the cage's about the ball's; pairs: their
    heights, 0 for none; changed: a line is smeared, so the speed changed while it was measured, and that line says
    nothing.
    """

    def __init__(self, ratios):
        outer, inner, ball, cage = ratios
        self.ratios = (outer, inner, 2 * ball, cage)
        self.hz = [0.0] * 4
        self.g = [0.0] * 4
        self.score = [0.0] * 4
        self.evidence = [0.0] * 4
        self.signs = [0] * 4
        self.pairs = [0.0] * 4
        self.heights = [0.0] * (4 * _HARMONICS)
        self.changed = False

    def run(self, measurement):
        """Search what `measurement.finish` left, at the shaft's speed that it found; ValueError if it found none.

        A configured speed that does not show in the velocity may show in the envelope: then the measurement's speed
        and confidence become those. Where it shows in neither it is a prior, up to 5 % off, and the lines themselves
        are the evidence for it, see `_find`.
        """
        m = measurement
        self.changed = False
        prior_hz = m.nominal_hz if m.stretch <= 2 else None
        if prior_hz and m.shaft_confidence < 1:
            seen = seen_speed(m.powers, 2, len(m.powers) >> 1, m.line_hz, m.stretch, prior_hz)
            if seen[1] > m.shaft_confidence:
                m.shaft_hz, m.shaft_confidence = seen
        if not m.shaft_hz:
            raise ValueError("lines: no speed")
        if not prior_hz or m.shaft_confidence >= SURE:
            for i in range(4):
                self._find(m, i, m.shaft_hz, 0.0)
            self._explain(m)
            return
        best = 0.0
        speed = m.shaft_hz, m.shaft_confidence
        for i in range(4):
            found = self._find(m, i, prior_hz, _SLIP)
            if found is None:
                self._find(m, i, m.shaft_hz, 0.0)  # where the speed would have it, if it is right
            elif found[1] and self.evidence[i] > best:
                best = self.evidence[i]
                speed = found
        m.shaft_hz, m.shaft_confidence = speed
        self._explain(m)

    def _find(self, m, i, speed_hz, slip):
        """Look for line i about its place at a speed up to `slip` off.

        Returns the (speed in Hz, confidence) for which the line speaks, 0 where it does not say; None where it is not
        there, or another explains it.
        """
        powers = m.powers
        bins = len(powers) >> 1
        width = m.line_hz
        around = _AROUND * m.stretch
        reach = 1.5 * m.stretch
        first = _HARMONICS * i
        turn = speed_hz / width
        nominal = self.ratios[i] * turn
        wide = reach + (_CREEP + slip) * nominal
        k, tall = _tallest(powers, nominal, wide, bins, around)
        near = round(self.ratios[i]) * turn
        if not slip and abs(k - near) <= reach < abs(nominal - near):
            # the shaft's own harmonic is higher than what is beside it
            low, high = (near + reach, nominal + wide) if near < nominal else (nominal - wide, near - reach)
            beside = _tallest(powers, (low + high) / 2, (high - low) / 2, bins, around)
            if beside[1] > _SEEN and _is_peak(powers, beside[0]):
                k, tall = beside
        self.score[i] = self.evidence[i] = self.pairs[i] = 0.0
        self.signs[i] = 0
        self.heights[first] = tall
        at = nominal
        g = 0.0
        if k:
            at, scale = _place(powers, k)
            g = math.sqrt(streams.word(powers, k, _form)) * scale * m.line_g
        self.hz[i] = at * width
        self.g[i] = g * droop(min(0.45, at / (2 * bins)), m.decimation, 3)
        for harmonic in range(2, _HARMONICS + 1):
            # of a line that is not there no harmonics are looked for: each costs the chip a millisecond
            other = _tallest(powers, harmonic * at, reach, bins, around)[1] if tall > _SEEN else 0.0
            self.heights[first + harmonic - 1] = other
        if tall <= _SEEN or not _is_peak(powers, k):
            return None
        if tall > 2 * _SEEN and i != _CAGE and 3 * m.stretch < k < bins - 3 * m.stretch:
            if _is_smeared(powers, k, m.stretch):
                self.changed = True
                return None
        # half of the ball's line is its own too: a ball may strike one race alone
        if i != _BALL and _is_harmonic(powers, k, at, reach, m.stretch):
            return None
        # The ball's lie at a part of its line that is its own, whatever the speed; a race's at the shaft's speed.
        loose = 0.0 if i == _BALL else slip
        apart = at * self.ratios[_CAGE] / self.ratios[i] if i == _BALL else turn
        seen = reach, bins, around
        apart, pair = _sidebands(powers, at, apart, loose, *seen) if i != _CAGE else (0.0, 0.0)
        if i == _BALL:
            # under load for less than half of the cage's turn it has as high ones at twice the distance
            pair = max(pair, _sidebands(powers, at, 2 * at * self.ratios[_CAGE] / self.ratios[i], 0.0, *seen)[1])
        found = 0.0, 0.0
        if slip and pair and i == _BALL:
            found = self.hz[i] / self.ratios[i], 1 - _SEEN / pair
            unique = True
        elif slip and pair:
            found = apart * width, 1 - _SEEN / pair
            # each of a pair is right to a quarter of a bin, and so is half their distance
            turns = at / apart
            right = 0.25 * m.stretch / apart
            unique = abs(turns / self.ratios[i] - 1) <= _CREEP + right and self._unique(i, turns, right, 0.0)
        else:
            unique = self._unique(i, at / turn, slip, reach / turn)
            if not unique and not slip:
                unique = self._is_apart(m, at, turn)
        if not unique:
            return None
        self.score[i] = math.sqrt(tall * self.heights[first + 1])
        self._weigh(m, i, at, pair)
        # The window of a prior is six times as wide as that of a speed that shows: one sign more is asked for.
        # Nor may another speed show: then the prior is wrong, or the line is that of another machine.
        alone = m.other_hz is None or abs(m.other_hz - self.hz[i]) < 2 * reach * width
        if slip and alone and i != _CAGE and self.signs[i] > SIGNS and self.evidence[i] >= needed(i, pair):
            # of the ball, whose pair lies at a part of its line, what stands above _SEEN speaks together
            confidence = 1 - (1 if i == _BALL and pair else _SEEN) / 10 ** (self.evidence[i] / 20)
            found = found[0] or self.hz[i] / self.ratios[i], max(found[1], confidence)
        if m.coarse:
            found = 0.0, 0.0  # drift over the sensor's steps draws lines and harmonics too
        return found

    def _unique(self, i, turns, slip, reach):
        """Whether a line at so many turns of a speed that is up to `slip` off is line i, and can be nothing else."""
        below = math.floor(turns)
        if turns - reach <= below * (1 + slip) or turns + reach >= (below + 1) * (1 - slip):
            return False  # the shaft's own harmonic
        for j in range(4) if slip else ():
            for harmonic in range(1, _HARMONICS + 1):
                place = harmonic * self.ratios[j]
                if j != i and abs(turns - place) <= (slip + _CREEP) * place + reach:
                    return False
        return True

    def _is_apart(self, m, at, turn):
        """Whether harmonic 2 or 3 of a line at place `at`, close to the shaft's, lies away from the shaft's.

        Harmonics lie as many times as far apart. The shaft's own place is as right as its line is high.
        """
        bins = len(m.powers) >> 1
        turns = round(at / turn)
        off = turns * (1 - m.shaft_confidence) / _SEEN
        if not turns or abs(at - turns * turn) <= (2 * _RIGHT + off) * m.stretch:
            return False  # the cage's line lies below the shaft's
        reach = 1.5 * m.stretch
        for harmonic in range(2, _HARMONICS + 1):
            tall, place = _standing(m.powers, harmonic * at, reach, bins, _AROUND * m.stretch)
            if tall and abs(place - harmonic * turns * turn) > reach + harmonic * off * m.stretch:
                return True
        return False

    def _explain(self, m):
        """Take back the lines that are sidebands of higher ones."""
        for i in [i for i in range(4) if self._is_sideband(m, i)]:
            self.score[i] = self.evidence[i] = 0.0
            self.signs[i] = 0

    def _is_sideband(self, m, i):
        """Whether a higher line stands one or two turns of the shaft from line i: in a bearing of 8 balls such as the
        6203 the ball's lies a turn above the outer race's and a turn below the inner race's, by 2 %.
        """
        for j in range(4):
            if self.score[j] and self.g[j] > self.g[i]:
                for turns in (1, 2):
                    off = abs(self.hz[j] - self.hz[i]) - turns * m.shaft_hz
                    if abs(off) <= _RIGHT * (2 + turns) * m.stretch * m.line_hz:
                        return True
        return False

    def _weigh(self, m, i, at, pair):
        """Work out evidence and signs of line i at place `at`; pair: the height of its sidebands, or 0."""
        evidence = 20 * math.log10(pair / _SEEN) if pair and i == _BALL else 0.0
        signs = 1 if pair else 0
        bins = len(m.powers) >> 1
        for harmonic in range(1, _WEIGHED + 1):
            if harmonic <= _HARMONICS:
                tall = self.heights[_HARMONICS * i + harmonic - 1]
            else:
                tall, place = _standing(m.powers, harmonic * at, 1.5 * m.stretch, bins, _AROUND * m.stretch)
                if tall:
                    at = place / harmonic  # the higher the harmonic, the finer
            if tall > _SEEN:
                signs += 1
                evidence += 20 * math.log10(tall / _SEEN)
        self.evidence[i] = evidence
        self.signs[i] = signs
        self.pairs[i] = pair
