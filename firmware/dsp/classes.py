"""What is healthy in each class of speed or load, of a machine that runs in several.

Unbalance grows with the square of the speed, and gears and pumps sound by their load. One limit over all of it would
let a fault at the slow speed pass, or call the fast one a fault. So each class has a baseline of its own, learned while
the machine ran in it, and a trend of its own: of two classes in turn that see a fault unequally, a common one would
rise with the hours in the one that sees it better.

A feature's level is the highest that a class gave it. What one class told holds until the machine runs in that class
again; else a machine that changes over every minute would sound and clear an alarm every minute. No class learns while
another one alarms: it would take the fault for healthy.

A measurement whose class is not known, or not learned yet, is judged by the limits that need no baseline.
"""

from .alarm import Threshold
from .baseline import LEVEL_RATIOS, Baseline
from .diagnosis import RELATIVE
from .lines import SURE
from .trend import Trend


class Classes:
    """diagnosis: of dsp.diagnosis, which judges by the class that `run` last found. kind: "rpm", of the shaft, in
    1/min, or "power_w", in W. limits: rising numbers; a class reaches from one, which is its own, to the next.

    index: of the class of the last measurement, None where it is not known.
    """

    def __init__(self, diagnosis, kind, limits):
        wanted = diagnosis.baseline.wanted
        self.index = 0
        self._diagnosis = diagnosis
        self._limits = kind, limits
        for _ in limits:
            diagnosis.parts.append((Baseline(wanted), Trend(diagnosis.trend.count, *LEVEL_RATIOS)))
        self._told: list[dict] = [{} for _ in diagnosis.parts]  # threshold by feature or fault
        self._absent = Baseline(wanted), None  # what a class that is not known is held against: nothing

    def run(self, measurement, lines, since_s, trusted, power_w):
        """As dsp.diagnosis has it, by the class that the measurement is of. power_w: of the machine, or None."""
        d = self._diagnosis
        if measurement.rms_g >= d.running_g:
            index = self._seek(measurement, power_w)
            if index != self.index:
                self._leave()
                self.enter(index)
        if not d.baseline.learned and (self.index is None or 2 in d.held.values()):
            trusted = False  # it teaches nothing
        level = d.run(measurement, lines, since_s, trusted)
        if d.state == 1:
            d.abstained = "the class is not known: limits alone"
            if self.index is not None:
                d.abstained = "class {} is not learned yet: limits alone".format(self.index + 1)
        return level

    def restore(self, index, baseline, trend):
        """Take back what the `state` of that class's baseline and trend gave; trend may be None. Raises ValueError,
        KeyError or TypeError if it is none."""
        part = self._diagnosis.parts[index]
        part[0].restore(baseline)
        if trend is not None:
            part[1].restore(trend)
        self._diagnosis.relative()

    def relearn(self, number=None):
        """Begin a new baseline and trend of the class of that number, from 1 on, or of all; what was judged by the old
        ones is judged no more."""
        for index, (baseline, trend) in enumerate(self._diagnosis.parts):
            if number in (None, index + 1):
                baseline.forget()
                trend.forget()
                self._told[index] = {}
        self._diagnosis.relative()
        self._hold()

    def _seek(self, m, power_w):
        kind, limits = self._limits
        value, part = power_w, 0.0
        if kind == "rpm":
            value = 60 * m.shaft_hz if m.shaft_hz and m.shaft_confidence >= SURE else None
            if m.marked:
                from . import tracking  # few nodes have a tachometer

                part = tracking.change(m.marks, m.marked) / 2
        if value is None:
            return None
        first, last = [sum([end >= limit for limit in limits]) for end in (value * (1 - part), value * (1 + part))]
        return first if first == last else None  # from one class to another while it was measured

    def _leave(self):
        d = self._diagnosis
        raised: dict = {i: votes for i, votes in enumerate(d.named) if votes.raised()}
        for feature in RELATIVE:
            threshold = d.thresholds.get(feature)
            if threshold and threshold.raised():
                raised[feature] = threshold
        if self.index is not None:
            self._told[self.index] = raised

    def enter(self, index):
        """Judge by that class from now on, and go on as it was left; None: by none."""
        d = self._diagnosis
        self.index = index
        raised = {}
        if index is None:
            d.baseline, d.trend = self._absent
        else:
            d.baseline, d.trend = d.parts[index]
            raised, self._told[index] = self._told[index], raised
        d.relative()
        d.named = [raised.pop(i, None) or Threshold(1, 1, 0, *d.rule[1:]) for i in range(len(d.named))]
        d.thresholds.update(raised)
        self._hold()

    def _hold(self):
        held = self._diagnosis.held = {}
        for raised in self._told:
            for feature, threshold in raised.items():
                if type(feature) is str and threshold.level:
                    held[feature] = max(threshold.level, held.get(feature, 0))
