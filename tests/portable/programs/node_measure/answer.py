"""What somebody is told who asks for a measurement."""

import asyncio
import json

from node.measure import Sensor
from node_measure.measuring import measure


async def read():
    values = {"rms_g": 0.5, "machine": 2, "level": 2, "zone": 3, "fault": 0, "abstained": None, "peaks": [1.0]}
    return values, ("clipped",), ()


async def asked():
    task = asyncio.create_task(measuring.run())
    answer = await measuring.now()
    task.cancel()
    return answer


measuring = measure([Sensor("vibration", lambda: None, read)])
print(json.dumps(asyncio.run(asked())))
