"""What asyncio allocates while it waits."""

import asyncio


async def main():
    await asyncio.sleep_ms(5)
    a = gc.mem_alloc()
    await asyncio.sleep_ms(5)
    b = gc.mem_alloc()
    print(b - a)


asyncio.run(main())
