"""A machine of two loads in turn: learned as one at the lower one, and learned by class."""

import json

from dsp_classes.rig import Rig

one = Rig(())
one.learn(100)
apart = Rig((200,))
apart.learn(100, 300)
loads = (100, 300) * 4
print(
    json.dumps(
        [
            [one.run(load)[2] for load in loads],
            [apart.run(load)[2] for load in loads],
            [b.count() for b, _ in apart.diagnosis.parts],
            [baseline.median[0] for baseline, _ in apart.diagnosis.parts],
            # as a fault would have it: three times the vibration of the lower load, which is healthy at the higher one
            [apart.run(load, 3.0 if load == 100 else 1.0)[:4] for load in loads],
        ]
    )
)
