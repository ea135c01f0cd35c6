"""A machine that stands has no speed but that of a tachometer."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import measured

answers = []
for rms, confidence in ((0.3, 0.9), (0.01, 0.9), (0.01, 0.0), (0.01, 1.0)):
    d = Diagnosis(Baseline(5))
    m = measured(rms_g=rms, shaft_hz=50.0, shaft_confidence=confidence)
    d.run(m, None, 60)
    answers.append([d.state, m.shaft_hz, m.shaft_confidence])
print(json.dumps(answers))
