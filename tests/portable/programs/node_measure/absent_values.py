"""A meter that does not give some values, then one of three phases."""

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


async def three_phases(meter):
    return [1000 * n for n in range(16)]


once, other = (206, 0x1202), (207, 0x46)
script = [[once], [once, other], [], [once]] + [[(206, code)] for code in range(99)]
times(measure([energy(Meter())]), 103)
Meter.read = three_phases
times(measure([energy(Meter())]), 1)
print(
    json.dumps(
        [
            [r["energy"] for r in recorder.records[:4]],
            [r["quality"] for r in recorder.records],
            [[e[:2], e[6]] for e in recorder.events],
            [recorder.records[-1][name] for name in ("energy", "phases")],
        ]
    )
)
