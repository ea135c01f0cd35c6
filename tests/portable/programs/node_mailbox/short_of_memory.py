"""Three commands; memory is too short for what `argument` says."""

import asyncio
import json
import sys

from node import mailbox


class Recorder:
    def event(self, name, subject, count):
        told.append([name, subject, count])


class Supervisor:
    def progress(self, name, place=0):
        pass


class Service:
    ending = False

    def __init__(self, parts, state, mailbox):
        if short[0] == "import":
            raise MemoryError

    async def obey(self, message):
        if short[0] == "work":
            raise MemoryError
        obeyed.append(message)

    def state(self):
        return "kept"


class Module:
    Service = Service


sys.modules["service.obey"] = Module
mailbox.drop = lambda *names: dropped.append("service" in names)
told, obeyed, dropped, short = [], [], [], argument
box = mailbox.Mailbox({"recorder": Recorder(), "supervisor": Supervisor(), "trial": None})


async def run():
    asyncio.create_task(box.run())
    for message in (b"1", b"2", b"3"):
        box.take(message)
        await asyncio.sleep_ms(100)
        short.pop(0)


asyncio.run(run())
print(json.dumps([[message.decode() for message in obeyed], told, box._refused, box._state, dropped]))
