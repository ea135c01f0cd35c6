"""The board finds and uses a peer."""


async def main():
    async with aioble.scan(20_000, 30_000, 30_000, active=True) as scanner:
        async for result in scanner:
            if result.name() == "peer" and result.connectable:
                break
    seen = (
        result.rssi,
        [bytes(u) for u in result.services()],
        list(result.manufacturer(0x1234)),
        result.device.addr_type,
        result.device.addr,
    )
    connection = await result.device.connect(timeout_ms=5000)
    async with connection:
        mtu = await connection.exchange_mtu(185, timeout_ms=5000)
        absent = await connection.service(VALUE, timeout_ms=5000)
        service = await connection.service(SERVICE, timeout_ms=5000)
        value = inbox = secret = None
        async for found in service.characteristics(timeout_ms=5000):
            if found.uuid == VALUE:
                value = found
            elif found.uuid == INBOX:
                inbox = found
            else:
                secret = found
        data = await value.read(timeout_ms=5000)
        refused = await error(secret.read(timeout_ms=5000))
        no_notify = await error(inbox.notified(timeout_ms=5000))
        await value.subscribe(notify=True)
        await inbox.write(bytes(range(180)), response=True, timeout_ms=5000)
        await inbox.write(b"now", response=False)
        notified = []
        for _ in range(3):
            notified.append(await value.notified(timeout_ms=5000))
        silence = await error(value.notified(timeout_ms=200))
        up = connection.is_connected()
    print((seen, mtu, absent, data, refused, no_notify, notified, silence, up, connection.is_connected()))


asyncio.run(main())
