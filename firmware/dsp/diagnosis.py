"""The verdict on a measurement: what state the machine is in, what rose, and - only when it is clear - which race.

state      when                                                 judged
stopped    RMS is below the running threshold                   nothing
learning   until K healthy ones were taken while running        absolute limits
watching   afterwards                                           absolute and relative limits, lines

A measurement teaches what is healthy unless it is clipped, incomplete, or in zone C or D: there the zone has warned
already, and a limit above it would never be crossed. The shape of the signal alone (below) keeps none from teaching:
some sound machines knock all their life and would never be watched, and the warning stands beside what is learned.

An alarm is raised by what lasts and means energy: RMS, the envelope, velocity, the upper octaves, the bearing's lines,
each n times of m, and the trend of the first three (dsp.trend). Crest factor and kurtosis warn: one knock among 30,000
samples moves them as much as a fault does. But one knock raises no level. Where the kurtosis is high while RMS or the
envelope is above its warning, n times of m, and the machine did not knock when it was learned, these impacts alarm.
Neither they nor octaves are judged where a measurement is so short that the cage turns once or twice in it.

A fault is named when, n times of m, the same line
- has 24 dB of evidence: its harmonics 1 ... 8 stand that far, added up, above 12 dB over the background, to which noise
  gets in one bin of 65,000. Two harmonics of 24 dB make it, or more of them that are lower. A damaged ball strikes
  both races and draws their lines too, up to some 16 dB of evidence, and so does a machine in which something else
  knocks. A race that is itself broken is above that, or it is not told apart;
  A ball's own line with a pair of sidebands at the cage's speed is drawn by nothing else: 12 dB, the pair's with it;
- has two signs: two harmonics, or one and a pair of sidebands;
- has 12 dB of evidence more than any other line: lines share harmonics. The cage's is apart: it stands beside that of a
  damaged race, which it loads unevenly (with 44 dB in a recording of an outer race): it is named where no other does;
- is four times (12 dB) as high as in the baseline, so that nothing is named that was always there; heard in another
  band than the baseline's (dsp.engine), it must have risen in that one;
- and the speed that the lines were looked for at is known with a confidence of 0.5 or more: by a tachometer, by the
  shaft's own line, or by lines of the bearing that agree with the configured speed and can be no other (dsp.lines).
Otherwise the verdict abstains, and says why. Where no race is named, and the velocity rose, dsp.orders may know another
fault, n times of m: it must hold more of the velocity than the whole was in the baseline.
"""

from micropython import const

from quaver_wire.fields import FAULTS, LINES

from .alarm import Threshold
from .baseline import FEATURES, KURTOSIS, LEVEL_RATIOS, OCTAVES
from .lines import SIGNS, SURE, needed
from .trend import Trend

RELATIVE = FEATURES + ("trend", "octave", "impacts")  # what the baseline says the limits of
_VELOCITY = const(2)  # of FEATURES
_FIRST_LINE = const(3)
_CAGE = const(3)  # of LINES
_MARGIN_DB = const(12.0)
_ABOVE_BASELINE = const(4.0)
_NEVER = const(1e9)
_UNFIT = const(2)  # zone C: by the standard such a machine is not healthy
# Absolute limits of the shape of a signal: noise has a kurtosis of 3 and over 30,000 samples a crest factor of 4.2;
# the fields of _SHAPES are warning limits.
_KURTOSIS = const(4.5)
_SHAPES = (("crest", 8.0), ("kurtosis", _KURTOSIS))
_WHOLE = ("rms", "envelope")  # levels that one blow does not raise


def zone(velocity_mm_s, boundaries):
    """0 ... 3 for A ... D of build.zones; a boundary itself is of the lower zone."""
    return sum(velocity_mm_s > boundary for boundary in boundaries)


class Diagnosis:
    """baseline: learns or has learned; zones: boundaries in mm/s of ISO 20816-3 or None; count of `of` measurements
    must agree; running_g: RMS below which the machine stands still.

    After `run`: state: 0 stopped, 1 learning, 2 watching (quaver_wire.names.MACHINE); level 0 ok, 1 warning, 2 alarm;
    zone: 0 ... 3 for A ... D, None at rest;
    causes: {feature: level} above 0; thresholds and, while the machine runs, values by feature; fault: index of FAULTS
    or None; line: the best line's index or None; margin_db: of its score over the next best (or over a line that just
    is there); abstained: why no fault is named, "" where one is or nothing rose.

    Of a machine with several classes (dsp.classes) baseline, trend, thresholds and named, the votes for each of FAULTS,
    are those of the class that it runs in; parts: baseline and trend of each; held: what other classes told, a level by
    feature.
    """

    def __init__(self, baseline, zones=None, count=2, of=3, hysteresis=0.1, running_g=0.02):
        self.baseline = baseline
        self.zones = zones
        self.running_g = running_g
        self.running_s = 0.0
        self.rule = (hysteresis, count, of)
        self.thresholds = {}
        self.named = [Threshold(1, 1, 0, count, of) for _ in FAULTS]
        for feature, warning in _SHAPES:
            self.thresholds[feature] = Threshold(warning, _NEVER, *self.rule)
        if zones:
            self.thresholds["zone"] = Threshold(zones[1], zones[2], *self.rule)
        self.trend = Trend(_FIRST_LINE, *LEVEL_RATIOS)
        self.parts = [(baseline, self.trend)]
        self.held = {}
        self.relative()
        self.state = 0
        self.level = 0
        self.zone = None
        self.values = {}
        self.causes = {}
        self.fault = None
        self.line = None
        self.margin_db = 0.0
        self.abstained = ""

    def relative(self):
        """Have the thresholds that the baseline gives, if it is learned."""
        for feature in RELATIVE:
            self.thresholds.pop(feature, None)
        if self.baseline.learned:
            for index, feature in enumerate(FEATURES):
                limits = self.baseline.limits(index)
                if limits:
                    self.thresholds[feature] = Threshold(*limits, *self.rule)
            self.thresholds["trend"] = Threshold(1, 1, *self.rule)
            self.thresholds["octave"] = Threshold(*LEVEL_RATIOS, *self.rule)
            self.thresholds["impacts"] = Threshold(_KURTOSIS, _KURTOSIS, *self.rule)

    def restore(self, state):
        """Take back the baseline's `state`, whole or half learned. Raises ValueError if it is none."""
        self.baseline.restore(state)
        self.relative()

    def relearn(self):
        """Begin a new baseline; what was judged by the old one is judged no more until it is learned."""
        self.baseline.forget()
        self.trend.forget()
        self.relative()

    def run(self, measurement, lines, since_s, trusted=True):
        """Judge what `measurement.finish` and `lines.run` left; lines may be None (no bearing, or no speed).

        since_s: seconds since the last measurement, counted as running time if the machine runs now. trusted: False
        for a measurement that was clipped or lost samples: it is judged by its levels, teaches nothing, names
        nothing. Returns the level. Of a machine that stands still no speed is left in the measurement, for what shows
        in its spectrum is another's or the mains'.
        """
        m = measurement
        self.zone = None
        self.abstained = ""
        self.fault = self.line = None
        self.margin_db = 0.0
        if m.rms_g < self.running_g:
            if m.shaft_confidence < 1:  # 1 is a tachometer's, which counted
                m.shaft_hz = None
                m.shaft_confidence = 0.0
            self.state = 0
            self.level = 0
            self.causes = {}
            return 0
        self.running_s += since_s
        if self.zones and m.velocity_mm_s is not None:
            self.zone = zone(m.velocity_mm_s, self.zones)
        self.values = values = {"crest": m.crest, "kurtosis": m.kurtosis, "rms": m.rms_g, "envelope": m.envelope_g}
        values["velocity"] = values["zone"] = m.velocity_mm_s
        values["trend"] = values["octave"] = values["impacts"] = None
        octaves = m.bands[-OCTAVES:]
        if m.away:  # another one than the baseline's: what was told there holds
            values["envelope"] = None
        for i, line in enumerate(LINES):
            # in the baseline what noise puts there, later only what is a line
            values[line] = lines.g[i] if lines and (not self.baseline.learned or lines.score[i]) else 0.0
            if m.away:
                values[line] = None
        if self.baseline.learned:
            self.state = 2
            pairs = zip(FEATURES[:_FIRST_LINE], self.baseline.median)
            ratios = [values[name] / middle if values[name] and middle > 0 else None for name, middle in pairs]
            values["trend"] = self.trend.take(ratios, since_s)
            if m.stretch <= 2:
                values["octave"] = self.baseline.octave(octaves)
                values["impacts"] = self._impacts()
        else:
            self.state = 1
            if (
                trusted
                and (self.zone or 0) < _UNFIT
                and self.baseline.learn([values[feature] or 0.0 for feature in FEATURES] + octaves + [m.kurtosis])
            ):
                self.relative()
        self.causes = {}
        for feature, threshold in self.thresholds.items():
            value = values[feature]
            if value is not None and (self.state == 2 or feature not in FEATURES):
                threshold.update(value)
            if threshold.level:
                self.causes[feature] = threshold.level
        for feature, level in self.held.items():
            self.causes[feature] = max(level, self.causes.get(feature, 0))
        self.level = max(self.causes.values()) if self.causes else 0
        if self.state == 2:
            self._name(m, lines, trusted)
        return self.level

    def _impacts(self):
        """The kurtosis where a level has risen too, and the machine did not knock when it was learned; 0 elsewhere."""
        values = self.values
        if 0 < self.baseline.median[KURTOSIS] < _KURTOSIS:
            for feature in _WHOLE:
                threshold = self.thresholds.get(feature)
                if threshold and values[feature] is not None and values[feature] >= threshold.warning:
                    return values["kurtosis"]
        return 0.0

    def _name(self, m, lines, trusted):
        best = None
        if not trusted:
            self.abstained = "the samples are clipped or incomplete"
        elif not lines:
            self.abstained = "no bearing or no speed"
        elif m.stretch > 2:
            self.abstained = "too short to tell lines apart"
        else:
            best = self._best(m, lines)
        if best is None and trusted:
            best = self._rotor(m)
        for i, votes in enumerate(self.named):
            if votes.update(1 if i == best else 0) and i == best:
                self.fault = i
        if self.fault is None and not self.abstained:
            self.abstained = "seen too rarely yet"
        if not self.level:
            self.fault = None
            self.abstained = ""

    def _rotor(self, m):
        """What this measurement's velocity speaks for, if that rose, or None; the reason stays then."""
        if not (self.causes.get("velocity") or self.causes.get("zone")):
            return None
        orders = m.orders
        if orders.fault is None:
            return None
        if orders.share * m.velocity_mm_s**2 <= self.baseline.median[_VELOCITY] ** 2:
            return None  # it may have been there before, and another part have risen
        self.abstained = ""
        return orders.fault

    def _best(self, m, lines):
        """The line that this measurement speaks for, or None with the reason."""
        first, second, _ = sorted(range(_CAGE), key=lambda i: -lines.evidence[i])
        if lines.evidence[first] <= 0:
            first = _CAGE
        evidence = lines.evidence[first]
        enough = needed(first, lines.pairs[first])
        if evidence < enough and lines.changed:
            self.abstained = "the speed changed while it was measured"
            return None
        if evidence <= 0:
            self.abstained = "no line of the bearing is there"
            return None
        self.line = first
        self.margin_db = evidence - lines.evidence[second]
        normal = self.baseline.median[_FIRST_LINE + first]
        if m.shaft_confidence < SURE:
            self.abstained = "the speed is not certain"
        elif evidence < enough:
            self.abstained = "{} is weak, {:.0f} of {:.0f} dB".format(LINES[first], evidence, enough)
        elif lines.signs[first] < SIGNS:
            self.abstained = "{} has no second sign".format(LINES[first])
        elif self.margin_db < _MARGIN_DB:
            self.abstained = "{} and {} are alike".format(LINES[first], LINES[second])
        elif normal <= 0:
            self.abstained = "nothing was learned of {}".format(LINES[first])
        elif not self.thresholds[LINES[first]].level if m.away else lines.g[first] < _ABOVE_BASELINE * normal:
            self.abstained = "{} was there before".format(LINES[first])
        else:
            return first
        return None
