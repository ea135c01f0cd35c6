"""A task comes back when there is no memory to tell of its death."""

import asyncio
import json
import time

from node.supervisor import Supervisor
from node_supervisor.watched import run_for

starts = []


async def hungry():
    starts.append(time.ticks_ms() // 1000)
    raise MemoryError("memory allocation failed, allocating 1148 bytes")


def report(name, error):
    raise MemoryError


supervisor = Supervisor(report, None)
supervisor.add("hungry", hungry, 10)
asyncio.run(run_for(supervisor, 10))
print(json.dumps(starts))
