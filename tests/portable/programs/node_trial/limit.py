"""A trial that does not come online, and one that does."""

import asyncio
import json
import time

from node.trial import Trial


async def main():
    out = []
    for online_after in (None, 100):
        trial = Trial("/nowhere")
        trial.running = True
        began = time.ticks_ms()
        task = asyncio.create_task(
            trial.watch(300, lambda: out.append(time.ticks_diff(time.ticks_ms(), began) // 1000), lambda: None)
        )
        await asyncio.sleep(online_after or 400)
        trial.running = False
        await asyncio.sleep(400)
        task.cancel()
    print(json.dumps(out))


asyncio.run(main())
