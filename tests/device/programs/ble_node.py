"""A node as its Bluetooth link sees it: an outbox in RAM, and what a gateway brings on the console."""

import asyncio
import json

from links.ble import Ble
from quaver_wire import chunks, gatt

import board
import hal


class Entry:
    def __init__(self, leaf, payload):
        self.leaf = leaf
        self.payload = payload


class Outbox:
    def __init__(self):
        self._entries = []
        self.filled = asyncio.Event()

    def put(self, leaf, payload):
        entry = Entry(leaf, payload)
        if leaf == "event":
            self._entries.insert(0, entry)
        else:
            self._entries.append(entry)
        self.filled.set()

    def first(self):
        return self._entries[0] if self._entries else None

    def done(self, entry):
        self._entries.remove(entry)
        print("done", entry.leaf, entry.payload[0])

    def link(self, up):
        print("link", up)

    def __len__(self):
        return len(self._entries)


async def raise_later(outbox, ms):
    await asyncio.sleep_ms(ms)
    print("raised")
    outbox.put("event", bytes([200]) * 90)


with open("plan.json") as file:
    plan = json.load(file)
outbox = Outbox()
for number in range(plan["records"]):
    outbox.put("telemetry", bytes([number]) * plan["size"])


def on_command(sealed):
    print("command", sealed)
    outbox.put("answer", b"\x64" + sealed)


async def main():
    port = hal.port(board)
    link = Ble(
        gatt,
        chunks,
        port.uuid,
        outbox,
        bytes(8 - len(plan["id"])) + plan["id"].encode(),
        ("board", "0.1.0"),
        plan["timing"],
        lambda unix_ms: print("time", unix_ms),
        on_command,
        lambda name: None,
    )
    if plan["alarm_ms"]:
        asyncio.create_task(raise_later(outbox, plan["alarm_ms"]))
    await link.run()


asyncio.run(main())
