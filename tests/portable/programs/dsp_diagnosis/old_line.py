"""A line that was there while the baseline was learned."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured, told

baseline = Baseline(5)
d = Diagnosis(baseline)
for _ in range(5):
    d.run(measured(), lines(bpfi=30.0), 60)
for _ in range(3):
    d.run(measured(rms_g=1.2), lines(bpfi=50.0), 60)
print(json.dumps(told(d)))
