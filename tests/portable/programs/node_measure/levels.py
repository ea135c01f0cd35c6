"""Each change of level is an event."""

import json

from node.measure import Sensor
from node_measure.measuring import Step, measure, recorder, times

script = iter([0.0, 1.0, 2.0, 2.0, None, 0.0])


async def read():
    return {"rms_g": next(script)}, (), ()


times(measure([Sensor("vibration", lambda: None, read)], {"rms": Step()}), 6)
print(json.dumps([recorder.events, [r["level"] for r in recorder.records]]))
