"""A spectrum record of the node with the longest name, in its last boot and year; given: fields, sealed."""

import binascii
import json

from node.outbox import Outbox
from node.record import Recorder
from node.seal import channel
from quaver_wire import cbor


class Uptime:
    def ms(self):
        return (1 << 40) - 1

    def news(self):
        return (1 << 48) - 1

    time_ms = news


said = []


class Kept(Outbox):
    def __init__(self):
        pass

    def put(self, message_class, seq, payload):
        said.append(payload)


seal = channel(bytes(32), bytes(8), 255, "uplink", 600) if argument["sealed"] else None
recorder = Recorder("n" * 24, (1 << 32) - 1, Uptime(), Kept(), seal)
recorder._seq = (1 << 23) - 1
values = dict(argument["fields"])
values["spectrum"] = values["envelope_spectrum"] = bytearray(range(256))
recorder.telemetry(values)
for name in ("kind", "node", "boot", "seq"):
    values.pop(name, None)
plain = bytearray(640)
end = cbor.encode(plain, values, "telemetry")
print(json.dumps([binascii.hexlify(data).decode() for data in (said[0], plain[:end])]))
