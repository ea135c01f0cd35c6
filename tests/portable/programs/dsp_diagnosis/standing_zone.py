"""A machine that stands still has no zone."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import measured

d = Diagnosis(Baseline(5), (1.4, 2.8, 4.5))
answers = []
for rms in (0.015, 0.3, 0.015):
    d.run(measured(rms_g=rms, velocity_mm_s=8.0), None, 60)
    answers.append(d.zone)
print(json.dumps(answers))
