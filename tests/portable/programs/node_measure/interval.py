"""Measurements that take longer than a second keep their interval."""

import asyncio
import json
import time

from node.measure import Sensor
from node_measure.measuring import measure

starts = []


async def read():
    starts.append(time.ticks_ms())
    await asyncio.sleep_ms(1500)
    return {}, (), ()


async def main():
    task = asyncio.create_task(measure([Sensor("energy", lambda: None, read)], interval_s=10).run())
    await asyncio.sleep(35)
    task.cancel()


asyncio.run(main())
print(json.dumps(starts))
