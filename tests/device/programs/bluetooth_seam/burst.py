"""The board sends as fast as its stack takes it, to one peer after the other; given: count, peers."""


async def send():
    connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
    await inbox.written(timeout_ms=20_000)
    again = 0
    try:
        for i in range(count):
            again += await notify(connection, i.to_bytes(2, "big") + bytes(242))
    except OSError:
        return None  # it is gone
    await connection.disconnected(timeout_ms=20_000)
    return again


async def main():
    told = []
    for _ in range(peers):
        told.append(await send())
    print(told)


asyncio.run(main())
