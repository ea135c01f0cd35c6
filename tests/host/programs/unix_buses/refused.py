"""Connects to `port`, where nobody listens."""

s = socket.socket()
try:
    s.connect(("127.0.0.1", port))
except OSError as error:
    print(error.errno)


async def main():
    try:
        r, w = await asyncio.open_connection("127.0.0.1", port)
        await r.read(1)
    except OSError as error:
        print(error.errno)


asyncio.run(main())
