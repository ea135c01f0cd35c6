"""aioble serves a value and advertises."""

import aioble
import asyncio
import bluetooth

service = aioble.Service(bluetooth.UUID(0x181A))
value = aioble.Characteristic(service, bluetooth.UUID(0x2A6E), read=True, initial=b"first")
aioble.register_services(service)


async def start():
    asyncio.create_task(aioble.advertise(100_000, name="n1", services=[service.uuid]))
    await asyncio.sleep_ms(10)


asyncio.run(start())
