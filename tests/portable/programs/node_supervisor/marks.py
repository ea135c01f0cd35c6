"""What the mark says at each moment: of a task, of what it started, of nobody, and of one that is late."""

import asyncio
import json

from build import hang
from node.supervisor import Supervisor
from node_supervisor.watched import Watchdog, deaths, report, run_for

seen = {}


def look(where):
    seen[where] = hang.told(watchdog.kept)


async def helper():
    look("a helper")
    await asyncio.sleep_ms(1)
    look("a helper again")


async def measure():
    look("start")
    supervisor.progress("measure", 2)
    look("place")
    await asyncio.wait_for(helper(), 5)
    look("after")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 1)
    except asyncio.TimeoutError:
        look("cancelled")
    while True:
        supervisor.progress("measure", 1)
        await asyncio.sleep(1)


async def publish():
    supervisor.progress("publish", 3)
    await asyncio.sleep(22)
    look("late")
    supervisor.progress("publish", 2)
    look("late no more")
    await asyncio.Event().wait()


async def main():
    await asyncio.gather(run_for(supervisor, 60), watch())
    look("late again")


async def watch():
    await asyncio.sleep(8)
    look("nobody")


watchdog = Watchdog()
supervisor = Supervisor(report, watchdog)
look("before they run")
supervisor.add("measure", measure, 10)
supervisor.add("publish", publish, 20)
before = asyncio.create_task
asyncio.run(main())
seen["given back"] = asyncio.create_task is before and asyncio.core.create_task is before
seen["no mark"] = [hang.told(number) for number in (0, -1, 0xFFFFFFFF, watchdog.kept ^ 1)]
seen["deaths"] = deaths
print(json.dumps(seen))
