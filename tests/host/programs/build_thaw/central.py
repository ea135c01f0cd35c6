"""aioble advertises, scans, and has all of its parts."""

import aioble
import asyncio
import bluetooth
import json
import aioble.client
import aioble.l2cap
import aioble.security


async def advertise():
    try:
        await aioble.advertise(50_000, name=b"n1", services=[bluetooth.UUID(0x181A)], timeout_ms=20)
    except asyncio.TimeoutError:
        pass
    (interval, payload), (none, _) = bluetooth.BLE.advertised
    return [interval, payload["adv_data"].hex(), payload["resp_data"], payload["connectable"], none]


async def scan():
    async with aioble.scan(100) as scanner:
        async for found in scanner:
            return [found.name(), found.rssi, found.connectable, str(found.device)]


try:
    raise aioble.GattError(5)
except aioble.core.GattError as error:
    status = error._status
classes = [aioble.client.ClientDescriptor, aioble.l2cap.L2CAPChannel, aioble.BufferedCharacteristic]
names = [each.__name__ for each in classes] + [aioble.security.pair.__name__]
print(json.dumps([asyncio.run(advertise()), asyncio.run(scan()), status, names]))
