"""Runs until it is interrupted, by asyncio."""

import asyncio


async def main():
    print("up")
    while True:
        await asyncio.sleep_ms(10)


asyncio.run(main())
