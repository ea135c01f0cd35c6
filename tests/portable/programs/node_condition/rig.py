"""A node of which only what it has learned is there, saved in the file `argument`."""

from __main__ import argument
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from node.condition import Condition

path = argument


class Measured:
    crest, kurtosis, stretch, shaft_confidence, away = 4.0, 3.0, 1, 0.9, 0
    rms_g, envelope_g, velocity_mm_s = 0.3, 0.1, 1.0
    bands = [0.1] * 8


class Node:
    def __init__(self, mark="6205"):
        self.diagnosis = Diagnosis(Baseline(3))
        self.condition = Condition(self.diagnosis, path, mark)
        self.problem = self.condition.restore()

    def measure(self, rms=0.3, seconds=600, trusted=True):
        measured = Measured()
        measured.rms_g = rms
        self.diagnosis.run(measured, None, seconds, trusted)
        return self.condition.save()
