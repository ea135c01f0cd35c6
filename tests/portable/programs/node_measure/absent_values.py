"""A meter that does not give some values."""

import json

from node.measure import energy
from node_measure.measuring import measure, recorder, times


class Meter:
    def __init__(self):
        self.absent = []

    def probe(self):
        pass

    async def read(self):
        self.absent[:] = script.pop(0)
        return [230500, -1500, None] if self.absent else [230500, -1500, 0]


once, other = (206, 0x1202), (207, 0x46)
script = [[once], [once, other], [], [once]] + [[(206, code)] for code in range(99)]
times(measure([energy(Meter())]), 103)
print(
    json.dumps(
        [
            [r["energy"] for r in recorder.records[:4]],
            [r["quality"] for r in recorder.records],
            [[e[:2], e[6]] for e in recorder.events],
        ]
    )
)
