"""A task that dies comes back."""

import asyncio
import json
import time

from node.supervisor import Supervisor
from node_supervisor.watched import deaths, report, run_for

starts = []


async def flaky():
    starts.append(time.ticks_ms() // 1000)
    if len(starts) == 3:
        return  # a task that ends has died too
    raise ValueError(len(starts))


supervisor = Supervisor(report, None)
supervisor.add("flaky", flaky, 10)
asyncio.run(run_for(supervisor, 200))
print(json.dumps([starts, deaths[:3]]))
