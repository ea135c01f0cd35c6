"""A fault that is not clear."""

import json

from dsp_diagnosis.machine import learned, lines, measured, told

changes, strength, trusted = argument
d = learned()
for _ in range(4):
    d.run(measured(rms_g=1.2, envelope_g=0.9, **changes), None if strength is None else lines(**strength), 60, trusted)
print(json.dumps(told(d)))
