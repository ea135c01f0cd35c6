"""A command that takes too long, one that is sent twice, and what stays of them in memory."""

import asyncio
import json
import os
import sys

from service.replay import Window
from service.runner import Runner


class Measuring:
    async def now(self):
        if not times:
            await asyncio.sleep(1000)
        return {"rms_g": times.pop()}


class Log:
    lines = ["a"]


class Node:
    parts = {"measuring": Measuring(), "log": Log}


times = []


async def main():
    commands = Runner(Node(), lambda: 5, Window(), [], "x.taken")
    answers = []
    for identity, name, args in (
        (10, "measure", None),
        (11, "measure", {}),
        (11, "measure", {}),
        (12, "log", {"at": 0}),
    ):
        answers.append(await commands.run({"id": identity, "name": name, "args": args, "expiry": 6}))
        times.append(0.25)
    answers.append([name for name in sys.modules if name.startswith("command")])
    print(json.dumps(answers))


os.chdir(argument)
asyncio.run(main())
