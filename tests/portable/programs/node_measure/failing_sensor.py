"""A sensor that fails, then answers again."""

import json

from node.measure import Sensor
from node_measure.measuring import measure, recorder, times

script = iter(["ok", OSError(5), OSError(5), OSError(204, 3), "ok", "ok"])
begun = []


async def read():
    step = next(script)
    if step != "ok":
        raise step
    return {"rms_g": 1.0}, ("dropped",), ()


times(measure([Sensor("vibration", lambda: begun.append(1), read)]), 6)
records = recorder.records
print(json.dumps([recorder.events, [r["quality"] for r in records], ["rms_g" in r for r in records], len(begun)]))
