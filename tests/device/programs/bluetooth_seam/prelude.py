"""What the other programs use, behind those of test_bluetooth."""


async def notify(connection, data):
    """As the firmware does it: a packet that the stack has no room for is tried again; how often it was."""
    for again in range(500):
        if not connection.is_connected():
            break
        try:
            value.notify(connection, data)
            return again
        except OSError:
            await asyncio.sleep_ms(5)
    raise OSError


async def find(connection):
    """The peer's two characteristics."""
    up = down = None
    service = await connection.service(SERVICE, timeout_ms=5000)
    async for found in service.characteristics(timeout_ms=5000):
        if found.uuid == VALUE:
            up = found
        elif found.uuid == INBOX:
            down = found
    return up, down
