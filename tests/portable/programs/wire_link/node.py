"""A node that is greeted by gateways: what it answers, and whom it believes after it was told what was revoked."""

import asyncio
import binascii
import json
import os

from node import seal
from node.gateways import Gateways
from quaver_wire import gatt

un = binascii.unhexlify
node_id, device_key, hello, others = un(argument[0]), un(argument[1]), un(argument[2]), argument[3]


class Noise:
    """Of a chip whose generator can die."""

    dead = False

    @classmethod
    def sources(cls):
        return [("generator", cls.fill)]

    @classmethod
    def fill(cls, buffer):
        buffer[:] = bytes(len(buffer)) if cls.dead else os.urandom(len(buffer))

    @staticmethod
    def extra():
        return b""


import sys

from node import entropy, room

room.drop = room.forget = lambda *names: None  # what stands in for the board stays
real = entropy.Random
entropy.Random = lambda *given: real(*given, path=argument[5] + "/seed")
sys.modules["hal.noise"] = Noise
failed = []


def event(name, subject, text):
    failed.append([name, subject, text])


def greet(gateways, message):
    gateways.begin()
    return gateways.greet(message)


told = Gateways(node_id, {1: device_key}, 7, {}, event)
answer, session, why = greet(told, hello)
fresh = greet(told, hello)[0]
forged = {"taken": 0, "refused": 0}
for number in range(argument[4]):
    # of the right length and kind: a guessed tag, one bit of a real one, one of the node's own, a tag of before
    message = gatt.ack(number & 0xFFFF)
    tags = (os.urandom(8), bytes(8), answer[-8:], bytes((number & 0xFF, number >> 8, 1, 2, 3, 4, 5, 6)))
    try:
        session.check(message + tags[number & 3])
        forged["taken"] += 1
    except ValueError:
        forged["refused"] += 1
answers = []
for other in others:
    try:
        made, _, reason = greet(told, un(other))
        answers.append([made[0] if made else None, reason])
    except ValueError as error:
        answers.append(str(error))
told.done()


class Service:
    root = argument[5]
    parts = {"gateways": told}


from build import keys
from command import revoke
from quaver_wire.link_gateway import hello as hello_of

for generation in (3, 2):
    asyncio.run(revoke.run(Service, "gw", generation))
after = []
path = Service.root + keys.REVOKED
again = Gateways(node_id, {1: device_key}, 7, keys.load_revoked(path))
after.append([greet(again, hello_of(1, generation, bytes(16), b"gw"))[2] for generation in (2, 3)])
with open(path, "w") as file:
    file.write("{")
again = Gateways(node_id, {1: device_key}, 9, keys.load_revoked(path))
after.append(greet(again, hello_of(1, 3, bytes(16), b"gw"))[2])
told.done()
Noise.dead = True
told.nonce = None  # which the last one that was refused has left
told.begin()
try:
    told.greet(hello)
except OSError as error:
    failed.append(str(error))
told.done()
failed.append(seal.channel(device_key, node_id, 1, "uplink").seal(bytearray(600), "telemetry", 7, 1, b"record", 6))
said = [binascii.hexlify(part).decode() for part in (answer, session.sign(b"\x00"), fresh)]
print(json.dumps([said, why, forged, answers, after, failed]))
