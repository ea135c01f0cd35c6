"""The board scans, and connects to nobody."""


async def main():
    count = 0
    async with aioble.scan(300) as scanner:
        async for result in scanner:
            count += 1
    device = aioble.Device(aioble.ADDR_PUBLIC, "28:01:02:03:04:99")
    other = aioble.Device(aioble.ADDR_PUBLIC, "28:01:02:03:04:98")
    said = [count, str(device), await error(device.connect(timeout_ms=300)), await error(other.connect(timeout_ms=300))]
    aioble.core.ble.gap_connect(None)
    await asyncio.sleep_ms(100)
    other = aioble.Device(aioble.ADDR_PUBLIC, "28:01:02:03:04:97")
    said.append(await error(other.connect(timeout_ms=300)))
    aioble.core.ble.gap_connect(None)
    await asyncio.sleep_ms(100)
    print(said)


asyncio.run(main())
