"""A gateway's Bluetooth side alone: it scans, connects to whom it finds, and says on the console what it took."""

import asyncio
import json

from gateway.link_keys import LinkKeys
from hal import noise
from links.ble_central import Central
from links.errors import LinkError
from node.entropy import Random
from quaver_wire import chunks, gatt

import board
import hal

with open("plan.json") as file:
    plan = json.load(file)
commands = [bytes([7]) * plan["command"]] if plan["command"] else []
found = []


def heard(device, node_id, state, waiting, rssi):
    if not state & (gatt.PENDING | gatt.ALARM):
        return False
    found.append((device, node_id, state, waiting))
    return True


async def store(message_class, payload):
    print("took", message_class, payload[0], len(payload))
    return True


async def main():
    links = LinkKeys(Random(noise, b"gateway", print))
    links.begin()
    central = Central(gatt, chunks, hal.port(board).uuid, 20, 100)
    for _ in range(plan["connections"]):
        found.clear()
        while not found:
            await central.scan(5000, heard)
        device, node_id, state, waiting = found[0]
        print("found", bytes(node_id[6:]), state, waiting)
        try:
            connection = await central.connect(device)
            link = links.of(node_id)
            print("collected", await central.collect(connection, link, lambda: 1700000000000, commands, store, None))
        except LinkError as error:
            print("refused:", error)


asyncio.run(main())
print("over")
