"""A machine that stands still is not judged."""

import json

from dsp_diagnosis.machine import learned, lines, measured, told

d = learned()
answers = [d.running_s]
for _ in range(4):
    d.run(measured(rms_g=0.001, envelope_g=9.0, kurtosis=40.0), lines(bpfo=90.0), 60)
    answers.append(told(d))
answers.append(d.running_s)
print(json.dumps(answers))
