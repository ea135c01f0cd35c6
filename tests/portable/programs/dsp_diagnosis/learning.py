"""A baseline is learned, then the machine is watched."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured, told

baseline = Baseline(3)
d = Diagnosis(baseline)
answers = []
for rms in (0.30, 0.9, 0.29, 0.31, 0.9, 0.9, 0.31, 0.31):
    d.run(measured(rms_g=rms), lines(), 60)
    answers.append(told(d)[:3])
print(json.dumps([answers, baseline.median[0], baseline.limits(0), d.running_s]))
