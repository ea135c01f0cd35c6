"""A dead sensor and a driver with a mistake beside a sensor that answers."""

import json

from node.measure import Sensor, temperature
from node_measure.measuring import measure, recorder, times


class TMP:
    LOWEST_MILLI, HIGHEST_MILLI = -55_000, 150_000
    milli = 21_500
    humidity_milli = 43_210

    def probe(self):
        pass

    def start(self):
        return 0

    def read_milli(self):
        return self.milli


def gone():
    raise OSError(19)


def wrong():
    return None.level


tmp = TMP()
m = measure([Sensor("vibration", gone, None), Sensor("energy", wrong, None), temperature(tmp)])
times(m, 1)
tmp.milli = 200_000
times(m, 1)
print(json.dumps([recorder.records, [e[:2] for e in recorder.events]]))
