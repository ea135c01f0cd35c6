"""A byte on the UART each `ms`."""

import asyncio
import machine

uart = machine.UART(1, 115200)


async def main():
    for _ in range(40):
        await asyncio.sleep_ms(ms)
        uart.write(b".")


asyncio.run(main())
