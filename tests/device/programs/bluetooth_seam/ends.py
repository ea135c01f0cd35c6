"""The board is connected to again and again, and who ends the connection differs; given: ends."""


async def main():
    told = []
    for end in ends:
        connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
        await inbox.written(timeout_ms=20_000)
        if end != "peer":
            await error(connection.disconnect(timeout_ms=5000))
        told.append((await error(connection.disconnected(timeout_ms=20_000)), connection.is_connected()))
    print(told)


asyncio.run(main())
