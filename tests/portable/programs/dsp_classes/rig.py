"""A machine made of numbers in classes of power: `run` measures it at a load, at so many times its usual vibration."""

from dsp.baseline import Baseline
from dsp.classes import Classes
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured

USUAL = {100: 0.1, 300: 0.3, 600: 0.6}  # g at so many watts: three classes


class Rig:
    def __init__(self, bounds=(200, 500), by="power_w", zones=None):
        self.diagnosis = Diagnosis(Baseline(3), zones)
        self.classes = Classes(self.diagnosis, by, list(bounds)) if bounds else None

    def run(self, power_w, times=1.0, trusted=True, seconds=60, **changed):
        rms = times * USUAL.get(power_w, 0.1)
        m = measured(rms_g=rms, envelope_g=rms / 3, velocity_mm_s=3 * rms, **changed)
        if self.classes:
            self.classes.run(m, lines(), seconds, trusted, power_w)
        else:
            self.diagnosis.run(m, lines(), seconds, trusted)
        return self.told()

    def told(self):
        d = self.diagnosis
        return [self.classes.index if self.classes else 0, d.state, d.level, sorted(d.causes), d.abstained]

    def learn(self, *powers):
        for power_w in powers:
            for times in (1.0, 1.02, 0.98):
                self.run(power_w, times)
