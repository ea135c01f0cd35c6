"""A clear fault line that lasts."""

import json

from dsp_diagnosis.machine import learned, lines, measured, told

d = learned()
answers = []
for _ in range(3):
    d.run(measured(rms_g=1.2, envelope_g=0.9), lines(**{argument: 40.0}), 60)
    answers.append(told(d))
answers.append(d.margin_db)
print(json.dumps(answers))
