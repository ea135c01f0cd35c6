"""When a spectrum record is made, and that the record of its measurement is whole."""

import json

from node.measure import Judge, Measure, Sensor
from node_measure.measuring import Step, recorder, times

steps = iter(argument["steps"])  # (changes, rms_g or None for a sensor that fails)


class Part:
    def spectrum(self):
        return {"spectrum": b""}

    def attest(self, changes):
        return ()

    def save(self):
        return ()


async def read():
    changes, rms_g = next(steps)
    if rms_g is None:
        raise OSError(5)
    values = {"machine": 2, "level": 0, "peaks": [], "rms_g": rms_g}
    return values, ("clipped",) if rms_g < 0 else (), [(name, "x", {"value": 1.0}) for name in changes]


measuring = Measure(
    [Sensor("vibration", lambda: None, read, Part())],
    Judge({"rms": Step()}),
    recorder,
    60,
    lambda *_: None,
    spectrum_every=argument["every"],
)
times(measuring, len(argument["steps"]))
print(json.dumps([[sorted(record), record["level"], record["quality"]] for record in recorder.records]))
