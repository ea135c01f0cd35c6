"""What a node is sent waits in the mailbox: what opens and obeys it is read when it comes, as far as memory goes."""

from collections.abc import Callable
from typing import Any

RUN = """
import asyncio, sys
from node import mailbox

class Recorder:
    def event(self, name, subject, count):
        told.append([name, subject, count])

class Supervisor:
    def progress(self, name):
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
"""


def test_a_command_that_memory_is_too_short_for_is_refused_by_name_and_the_next_one_obeyed(
    micropython: Callable[..., Any],
) -> None:
    obeyed, told, untold, state, dropped = micropython(RUN, argument=["import", "work", ""])
    assert obeyed == ["3"]
    assert told == [["message_refused", "memory", 1]] and untold == {"memory": 1}  # the second with the next event
    assert dropped == [True, True]  # nothing of it is left on the heap
    assert state == "kept"  # what a service had seen is not forgotten with it
