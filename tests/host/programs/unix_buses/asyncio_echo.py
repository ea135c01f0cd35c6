"""Lines to the server `port` and back, by asyncio."""


async def main():
    r, w = await asyncio.open_connection("127.0.0.1", port)
    a = time.ticks_ms()
    for _ in range(3):
        w.write(b"ping\n")
        await w.drain()
        print(await asyncio.wait_for_ms(r.readline(), 20))
    print(time.ticks_diff(time.ticks_ms(), a) < 10)
    w.close()


asyncio.run(main())
