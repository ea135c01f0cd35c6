"""Which measurements teach the baseline."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured

answers = []
for changes in ({}, {"velocity_mm_s": 2.9}, {"velocity_mm_s": 9.0}, {"kurtosis": 12.0}, {"velocity_mm_s": None}):
    baseline = Baseline(5)
    d = Diagnosis(baseline, (1.4, 2.8, 4.5))
    for _ in range(3):
        d.run(measured(**changes), lines(), 60)
    answers.append([baseline.count(), d.level])
print(json.dumps(answers))
