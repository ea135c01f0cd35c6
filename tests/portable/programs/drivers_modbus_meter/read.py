"""The driver reads a meter that echoes and answers in pieces, then one that is silent."""

import asyncio
import json
from binascii import hexlify, unhexlify

from build import sensors
from drivers.modbus_meter import ModbusMeter


class Uart:
    received = b""

    def any(self):
        return len(self.received)

    def write(self, data):
        self.received += bytes(data) + b"\xff" + unhexlify(argument[hexlify(data).decode()])  # an echo, and noise

    def flush(self):
        pass

    def readinto(self, buffer):
        n = min(3, len(buffer), len(self.received))  # in pieces
        buffer[:n] = self.received[:n]
        self.received = self.received[n:]
        return n


rows = [sensors.register(["input", str(at), "float32"]) for at in sensors._METERS["sdm120"]]
values = list(asyncio.run(ModbusMeter(Uart(), rows, 7).read()))
argument = dict.fromkeys(argument, "")
try:
    asyncio.run(ModbusMeter(Uart(), rows, 7).read())
except OSError as error:
    print(json.dumps([values, error.args]))
