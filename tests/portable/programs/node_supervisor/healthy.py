"""The wait starts over after a healthy run."""

import asyncio
import json
import time

from node.supervisor import Supervisor
from node_supervisor.watched import report, run_for

starts = []


async def works_for_a_while():
    starts.append(time.ticks_ms() // 1000)
    for _ in range(301):
        await asyncio.sleep(1)
        supervisor.progress("t")
    raise OSError(5)


supervisor = Supervisor(report, None)
supervisor.add("t", works_for_a_while, 10)
asyncio.run(run_for(supervisor, 1000))
print(json.dumps(starts))
