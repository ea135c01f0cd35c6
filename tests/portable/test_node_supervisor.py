"""The supervisor, on the real MicroPython in virtual time: restarts, backoff, and a watchdog fed by progress."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

HEAD = """
import asyncio, time
from node.supervisor import Supervisor

class Watchdog:
    fed = 0
    last = 0
    def feed(self):
        self.fed += 1
        self.last = time.ticks_ms()

deaths = []
def report(name, error):
    deaths.append((name, time.ticks_ms() // 1000, repr(error)))

async def run_for(seconds):
    main = asyncio.create_task(supervisor.run())
    await asyncio.sleep(seconds)
    main.cancel()
"""


def test_a_task_that_dies_comes_back_with_growing_patience(micropython: Callable[..., Any]) -> None:
    code = """
starts = []
async def flaky():
    starts.append(time.ticks_ms() // 1000)
    if len(starts) == 3:
        return                 # a task that ends has died too
    raise ValueError(len(starts))
supervisor = Supervisor(report, None)
supervisor.add("flaky", flaky, 10)
asyncio.run(run_for(200))
print(json.dumps([starts, deaths[:3]]))
"""
    starts, deaths = micropython(HEAD + code, virtual_time=True)
    assert starts == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert deaths == [
        ["flaky", 0, "ValueError(1,)"],
        ["flaky", 1, "ValueError(2,)"],
        ["flaky", 3, "RuntimeError('ended',)"],
    ]


def test_a_task_comes_back_also_when_there_is_no_memory_to_tell_of_its_death(micropython: Callable[..., Any]) -> None:
    code = """
starts = []
async def hungry():
    starts.append(time.ticks_ms() // 1000)
    raise MemoryError("memory allocation failed, allocating 1148 bytes")
def report(name, error):
    raise MemoryError
supervisor = Supervisor(report, None)
supervisor.add("hungry", hungry, 10)
asyncio.run(run_for(10))
print(json.dumps(starts))
"""
    assert micropython(HEAD + code, virtual_time=True) == [0, 1, 3, 7]


def test_the_backoff_starts_over_after_a_healthy_run(micropython: Callable[..., Any]) -> None:
    code = """
starts = []
async def works_for_a_while():
    starts.append(time.ticks_ms() // 1000)
    for _ in range(301):
        await asyncio.sleep(1)
        supervisor.progress("t")
    raise OSError(5)
supervisor = Supervisor(report, None)
supervisor.add("t", works_for_a_while, 10)
asyncio.run(run_for(1000))
print(json.dumps(starts))
"""
    starts = micropython(HEAD + code, virtual_time=True)
    assert [b - a for a, b in pairwise(starts)] == [302, 302, 302]


def test_the_watchdog_starves_when_one_task_hangs_and_only_then(micropython: Callable[..., Any]) -> None:
    code = """
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
asyncio.run(run_for(300))
print(json.dumps([watchdog.last, supervisor.late()]))
"""
    last, late = micropython(HEAD + code, virtual_time=True)
    assert 109_000 <= last <= 110_000
    assert late == "hangs"
