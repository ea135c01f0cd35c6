"""One task hangs, and the watchdog starves."""

import asyncio
import json

from node.supervisor import Supervisor
from node_supervisor.watched import Watchdog, report, run_for


async def good():
    while True:
        await asyncio.sleep(2)
        supervisor.progress("good")


async def hangs():
    await asyncio.sleep(50)
    supervisor.progress("hangs")
    await asyncio.Event().wait()


async def dies():
    raise MemoryError


watchdog = Watchdog()
supervisor = Supervisor(report, watchdog)
supervisor.add("good", good, 5)
supervisor.add("hangs", hangs, 60)
supervisor.add("dies", dies, 5)
asyncio.run(run_for(supervisor, 300))
print(json.dumps([watchdog.last, supervisor.late()]))
