"""A new key is announced, and the numbers run out."""

import json

from node.record import Recorder
from node.seal import channel


class Outbox:
    def put(self, message_class, seq, payload):
        said.append([message_class, binascii.hexlify(payload).decode()])


class Uptime:
    def ms(self):
        return 9

    def time_ms(self):
        return None

    def news(self):
        return None


import binascii

said = []
key, node = bytes.fromhex(argument[0]), bytes.fromhex(argument[1])
recorder = Recorder("n1", 3, Uptime(), Outbox(), channel(key, node, 1, "uplink"))
recorder.event("key_announced", generation=2)
recorder._seq = (1 << 23) - 1
recorder.telemetry({})
said.append(["status", binascii.hexlify(recorder.status(1)).decode()])
for again in range(2):
    try:
        recorder.telemetry({})
    except ValueError as error:
        said.append(str(error))
print(json.dumps(said))
