"""What a class told holds in the others, and keeps them from learning, until that class is well again or relearned."""

import json

from dsp_classes.rig import Rig

rig = Rig()
rig.learn(100, 300)
told = []
for load, times in ((100, 3), (100, 3), (300, 1), (600, 1), (100, 1), (100, 1), (600, 1), (100, 3), (100, 3), (600, 1)):
    told.append(rig.run(load, times)[:4])
counts = [b.count() for b, _ in rig.diagnosis.parts]
rig.classes.relearn(1)
told.append(rig.run(600)[:4])
print(json.dumps([told, counts, [b.count() for b, _ in rig.diagnosis.parts]]))
