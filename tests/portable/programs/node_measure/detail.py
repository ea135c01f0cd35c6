"""The detail comes with what is not ordinary."""

import json

from node.measure import Sensor
from node_measure.measuring import measure, recorder, times

script = []  # (machine, level, mark), and how often
for count, step in (
    (3, (1, 0, ())),
    (12, (2, 0, ())),
    (2, (2, 1, ())),
    (2, (2, 0, ())),
    (1, (2, 0, ("dropped",))),
    (3, (0, 0, ())),
):
    script += [step] * count
steps = iter(script)


async def read():
    values = {}
    values["machine"], values["level"], marks = next(steps)
    for name in ("peaks", "bands", "lines", "samples", "learned", "running_h", "rms_g"):
        values[name] = 1
    return values, marks, ()


times(measure([Sensor("vibration", lambda: None, read)]), len(script))
print(json.dumps([sorted(record) for record in recorder.records]))
