"""The board waits on a connection that ends."""


async def wait(connection):
    with connection.timeout(10_000):
        await inbox.written()


async def wait_short(connection):
    with connection.timeout(100):
        await inbox.written()


async def main():
    connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
    first = await error(wait_short(connection))
    print((first, await error(wait(connection)), await error(connection.disconnected()), connection.is_connected()))


asyncio.run(main())
