"""The board serves one peer while it uses another, over an MTU of 247 on both connections."""


async def serve():
    connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
    _, asked = await inbox.written(timeout_ms=20_000)
    for i in range(12):
        await notify(connection, bytes([i]) * 244)
    return connection, asked


async def use():
    async with aioble.scan(20_000, 30_000, 30_000) as scanner:
        async for result in scanner:
            if result.name() == "other":
                break
    connection = await result.device.connect(timeout_ms=10_000)
    mtu = await connection.exchange_mtu(247, timeout_ms=5000)
    up, down = await find(connection)
    await up.subscribe(notify=True)
    await down.write(bytes(244), response=True, timeout_ms=5000)
    got = []
    for _ in range(6):
        got.append(await up.notified(timeout_ms=5000))
    read = await up.read(timeout_ms=5000)  # of 500 bytes, what one packet holds
    return connection, mtu, [(len(data), data[0]) for data in got], len(read)


async def main():
    (served, asked), (used, mtu, got, long) = await asyncio.gather(serve(), use())
    both = (served.is_connected(), used.is_connected())
    await used.disconnect(timeout_ms=5000)
    one = (served.is_connected(), used.is_connected())
    await served.disconnected(timeout_ms=20_000)
    print((len(asked), mtu, got, long, both, one, served.is_connected()))


asyncio.run(main())
