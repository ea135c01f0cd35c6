"""Measurements that can not be trusted teach nothing."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured

baseline = Baseline(2)
d = Diagnosis(baseline)
for trusted in (False, False, False, True):
    d.run(measured(), lines(), 60, trusted)
d.run(measured(rms_g=0.001), lines(), 60)
print(json.dumps([baseline.learned, len(baseline.state()["rows"])]))
