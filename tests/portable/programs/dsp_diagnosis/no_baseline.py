"""Shape and zones judge while no baseline is learned."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import measured, told

d = Diagnosis(Baseline(100), (1.4, 2.8, 4.5))
answers = []
for changes in ({"kurtosis": 30.0}, {"kurtosis": 30.0}, {"velocity_mm_s": 5.0}, {"velocity_mm_s": 5.0}, {}, {}, {}):
    d.run(measured(**changes), None, 60)
    answers.append(told(d))
print(json.dumps(answers))
