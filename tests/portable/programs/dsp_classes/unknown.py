"""Measurements of no known class, and of one that is not learned, at ten times the usual vibration."""

import json

from dsp_classes.rig import Rig

rig = Rig(zones=(1.4, 2.8, 4.5))
rig.learn(100)
told = [rig.run(load, 10.0) for load in (None, None, 300, 300)]
told.append(rig.run(None, kurtosis=9.0))
told.append(rig.run(None, kurtosis=9.0))
told.append(rig.run(100))
print(json.dumps([told, [b.count() for b, _ in rig.diagnosis.parts]]))
