"""The driver reads a meter that echoes and answers in pieces, then one that is silent."""

import asyncio
import json
from binascii import hexlify, unhexlify

from drivers.sdm120 import SDM120


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


values = list(asyncio.run(SDM120(Uart(), 7).read()))
argument = dict.fromkeys(argument, "")
try:
    asyncio.run(SDM120(Uart(), 7).read())
except OSError as error:
    print(json.dumps([values, error.args]))
