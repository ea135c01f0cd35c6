"""Two tasks that wait for a whole day."""

import asyncio
import time

done = []


async def every(ms, name):
    for _ in range(86_400_000 // ms):
        await asyncio.sleep_ms(ms)
    done.append((name, time.ticks_ms() // 1000 - start))


async def main():
    await asyncio.gather(every(10_000, "fast"), every(60_000, "slow"))


start = time.ticks_ms() // 1000
asyncio.run(main())
print(done)
