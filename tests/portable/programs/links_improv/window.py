"""The window for Improv ends by the clock."""

import asyncio
import json

from links.improv import Improv
from node.clock import Uptime

said = []


async def join(ssid, password):
    await asyncio.sleep(3)
    return []


async def scan():
    return []


improv = Improv(lambda kind, data: said.append([kind, data[0]]), ("a", "b", "c", "d"), join, scan, None, Uptime(), True)


async def main():
    packet = b"\x01\x04\x01x\x01y"
    improv.open(60)
    await improv.command(packet)
    improv.open(60)
    await asyncio.sleep(59)
    before = improv.tick()
    await asyncio.sleep(2)
    after = improv.tick()
    await improv.command(packet)
    print(json.dumps([said, before, after]))


asyncio.run(main())
