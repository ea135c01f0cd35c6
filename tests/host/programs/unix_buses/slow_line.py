"""A line that comes late by the server's clock."""


async def main():
    r, w = await asyncio.open_connection("127.0.0.1", port)
    a = time.ticks_ms()
    print(await asyncio.wait_for(r.readline(), 20))
    print(time.ticks_diff(time.ticks_ms(), a) < 5000)
    w.close()


asyncio.run(main())
