"""The class by the shaft's speed: argument has for each measurement its Hz, confidence and a tachometer's marks."""

import json

from dsp_classes.rig import Rig

rig = Rig((1200, 1800), "rpm")
found = []
for hz, confidence, marks in argument:
    rig.run(None, shaft_hz=hz, shaft_confidence=confidence, marks=marks, marked=len(marks))
    found.append(rig.classes.index)
print(json.dumps(found))
