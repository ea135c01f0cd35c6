"""A node as its Bluetooth link sees it: an outbox with its journal, and what a gateway brings on the console."""

import asyncio
import json

from hal import noise
from links.ble import Ble
from node.gateways import Gateways
from node.outbox import Outbox
from node.entropy import Random
from quaver_wire import chunks, gatt

import board
import hal


class Told(Outbox):
    """The node's own outbox and journal, which says what leaves it."""

    def add(self, message_class, payload):
        global seq
        seq += 1
        self.put(message_class, seq, payload)

    def done(self, entry):
        super().done(entry)
        print("done", entry.message_class, entry.payload[0])


async def raise_later(outbox, ms):
    await asyncio.sleep_ms(ms)
    print("raised")
    outbox.add("event", bytes([200]) * 90)


with open("plan.json") as file:
    plan = json.load(file)
seq = 0
outbox = Told(1)
for number in range(plan["records"]):
    outbox.add("telemetry", bytes([number]) * plan["size"])


class Node:
    """What is behind the link: clock, recorder and mailbox in one."""

    wanted = None
    on_trial = is_online = acknowledged = False

    def set(self, unix_ms):
        print("time", unix_ms)

    def status(self, state):
        return bytes((210, state)) + bytes(58)

    def moment(self):
        return 1, 0, None

    def account(self):
        pass

    def online(self):
        pass

    def take(self, sealed):
        print("command", sealed)
        outbox.add("answer", b"\x64" + sealed)

    def working(self):
        return False

    def refuse(self, why):
        print("refused", why)

    def event(self, name, subject, text):
        print(name, subject, text)


async def main():
    behind = Node()
    port = hal.port(board)
    own = bytes.fromhex(plan["hex"]) if "hex" in plan else bytes(8 - len(plan["id"])) + plan["id"].encode()
    link = Ble(
        gatt,
        chunks,
        port.uuid,
        Gateways(own, {1: bytes.fromhex(plan["key"])}, Random(noise, own, behind.event), {}),
        outbox,
        own,
        ("board", "0.1.0"),
        plan["timing"],
        behind,
        behind,
        behind,
        lambda *_: None,
    )
    if plan["alarm_ms"]:
        asyncio.create_task(raise_later(outbox, plan["alarm_ms"]))
    await link.run()


asyncio.run(main())
