"""One record of every kind."""

import binascii
import json

from node.record import Recorder
from quaver_wire.fields import EVENTS


class Outbox:
    def put(self, *entry):
        said.append([entry[0], binascii.hexlify(entry[-1]).decode()])


class Uptime:
    def ms(self):
        return 123456

    def news(self):
        return None

    def time_ms(self):
        return 1790000000250


said = []
recorder = Recorder("n1", 7, Uptime(), Outbox())
recorder.introduce("0.1.0", "pico_w", 60)
recorder.telemetry({"heap_free": 1, "quality": 0, "level": 0})
recorder.telemetry(argument)
for name in EVENTS[1:]:
    recorder.event(name, "rms", level=2, value=1.25, limit=float("nan"), text="why", reason=(204, -3), waveform=1)
recorder.event("boot", text="PWRON_RESET")
recorder.death("publish", ValueError("x" * 200))
for state in (0, 1):
    said.append(["status", binascii.hexlify(recorder.status(state)).decode()])
print(json.dumps(said))
