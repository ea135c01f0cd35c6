"""The board serves while it talks over Wi-Fi; given: host."""

import network
import time


async def main():
    connection = await aioble.advertise(50_000, name="n1", timeout_ms=20_000)
    await inbox.written(timeout_ms=5000)
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    wlan.connect("quaver", "emulated")
    while not wlan.isconnected():
        await asyncio.sleep_ms(50)
    reader, writer = await asyncio.open_connection(host, 1883)
    echoed = 0
    for i in range(5):
        writer.write(bytes([i]) * 500)
        await writer.drain()
        data = await reader.readexactly(500)
        echoed += len(data)
        value.notify(connection, data[:20])
    writer.close()
    await connection.disconnected(timeout_ms=10_000)
    wlan.active(False)
    print((echoed, wlan.isconnected()))


asyncio.run(main())
