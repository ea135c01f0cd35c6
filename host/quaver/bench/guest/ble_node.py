"""A node's Bluetooth link with an outbox of its own. Its plan lies in plan.json."""

import asyncio
import gc
import json
import board

try:
    from hal.chip import in_place

    in_place.begin(board)  # as main.py does
except ImportError:
    pass
import aioble
from links.ble import Ble
import node.room
import node.seal
import node.store  # which any node has that seals
from quaver_wire import chunks, gatt
import hal


def used():
    gc.collect()
    return gc.mem_alloc()


with open("plan.json") as file:
    plan = json.load(file)
node.room.tidy()  # and the room that it holds for a file
_before = used()
from node.gateways import Gateways
from quaver_wire import link_session

try:
    in_place.end()  # as a node does that has read what stays: what a greeting reads lies on the heap
except NameError:
    pass  # a chip that does not see its flash

gateways = Gateways(bytes.fromhex(plan["id"]), {1: bytes(32)}, 1, {})
if plan["heap"]:
    gateways.begin()
    gateways.ready()  # the first one leaves modules behind
    gateways.done()
    print("secret rest", used() - _before)


class Secret(Gateways):
    """Prints what the link's secret takes of the heap beside that: while it greets, each time before it drops what it
    has read, and in the connection."""

    began = most = 0

    def ready(self):
        self.began, self.most = used(), 0
        super().ready()

    def dropping(self, name):
        self.most = max(self.most, used() - self.began)
        forget(name)

    def done(self):
        super().done()
        print("secret greeting", self.most)

    def connected(self):
        print("secret connection", used() - self.began)


class Entry:
    message_class = "telemetry"
    payload = bytes(plan["size"])


class Nobody:
    def set(unix_ms):
        pass

    def status(state):
        return bytes(60)

    def account():
        if plan["heap"]:
            gateways.connected()


class Outbox:
    def __init__(self):
        self.count = 0
        self.filled = asyncio.Event()

    def put(self):
        self.count += 1
        self.filled.set()

    def first(self):
        return Entry if self.count else None

    def done(self, entry):
        self.count -= 1

    def link(self, up):
        pass

    def __len__(self):
        return self.count


async def measure(outbox):
    while True:
        await asyncio.sleep_ms(plan["interval_s"] * 1000)
        outbox.put()


if plan["heap"]:
    gateways = Secret(gateways.node_id, gateways.keys, gateways.boot, gateways.revoked)
    forget, node.room.forget = node.room.forget, gateways.dropping  # which drop, too, asks


async def main():
    outbox = Outbox()
    for _ in range(plan["records"]):
        outbox.put()
    uuid = hal.port(board).uuid
    link = Ble(
        gatt,
        chunks,
        uuid,
        gateways,
        outbox,
        bytes.fromhex(plan["id"]),
        ("bench", "0"),
        plan["timing"],
        Nobody,
        Nobody,
        None,
        lambda *_: None,
    )
    if plan["burst"]:
        link.begin()
        connection = await aioble.advertise(100_000, adv_data=b"\x02\x01\x06", timeout_ms=60_000)
        await link._down.written()
        data = bytes(connection.mtu - 3)
        for _ in range(plan["burst"]):
            link._up.notify(connection, data)
        await connection.disconnected()
    if plan["interval_s"]:
        asyncio.create_task(measure(outbox))
    await link.run()


asyncio.run(main())
