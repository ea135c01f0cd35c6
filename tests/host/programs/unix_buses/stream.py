"""A stream of asyncio over the UART, and its time-out."""

import asyncio


async def main():
    stream = asyncio.StreamReader(uart)
    uart.write(b"line\n")
    print(await stream.readexactly(5))
    try:
        await asyncio.wait_for_ms(stream.read(1), 300)
    except asyncio.TimeoutError:
        print("quiet")


asyncio.run(main())
