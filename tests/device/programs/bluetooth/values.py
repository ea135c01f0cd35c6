"""The board serves a value and an inbox."""


async def main():
    connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
    who, data = await inbox.written(timeout_ms=5000)
    value.write(b"second")
    pairs = []
    for _ in range(3):
        pairs.append(await inbox.written(timeout_ms=5000))
    for i in range(12):
        value.notify(connection, bytes([i]) * 300)
    await connection.disconnected(timeout_ms=5000)
    print(
        (
            connection.device.addr,
            connection.device.addr_type,
            connection.mtu,
            who is connection,
            data,
            [d for _, d in pairs],
            connection.is_connected(),
            value.read(),
        )
    )


asyncio.run(main())
