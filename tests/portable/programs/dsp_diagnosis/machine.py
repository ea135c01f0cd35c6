"""A machine made of numbers: `measured` and `lines` give what a measurement and its lines would say."""

import math

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis


class Orders:
    fault, share = None, 0.0


class Measured:
    orders = Orders()
    crest, kurtosis, stretch, shaft_confidence, away = 4.0, 3.0, 1, 0.9, 0
    rms_g, envelope_g, velocity_mm_s = 0.3, 0.1, 1.0
    bands = [0.1] * 8


class Lines:
    changed = False

    def __init__(self):
        self.g, self.score, self.evidence, self.signs = [0.001] * 4, [0.0] * 4, [0.0] * 4, [0] * 4
        self.pairs = [0.0] * 4


def measured(**changes):
    m = Measured()
    for key, value in changes.items():
        setattr(m, key, value)
    return m


def lines(signs=2, changed=False, pair=0.0, **strength):
    """A line's strength: how high its two first harmonics are; pair: the height of its sidebands."""
    found = Lines()
    found.changed = changed
    for i, name in enumerate(("bpfo", "bpfi", "bsf2", "ftf")):
        if name in strength:
            found.score[i] = strength[name]
            found.evidence[i] = 2 * 20 * math.log10(strength[name] / 4)
            found.signs[i] = signs
            found.pairs[i] = pair
            found.g[i] = 0.001 * strength[name]
    return found


def learned(**settings):
    baseline = Baseline(5)
    diagnosis = Diagnosis(baseline, **settings)
    for wobble in (1.0, 1.02, 0.98, 1.01, 0.97):
        diagnosis.run(measured(rms_g=0.3 * wobble, envelope_g=0.1 * wobble, velocity_mm_s=wobble), lines(), 60)
    return diagnosis


def told(d):
    return [d.state, d.level, sorted(d.causes), d.fault, d.abstained]
