"""Keeps the node's tasks alive: restarts what dies, and lets the watchdog bite when something hangs.

Each task runs in a case of its own:

    running --raises--> waiting (backoff 1, 2, 4 … 60 s) --> running
    running for 5 minutes: the backoff starts over

A task says `progress(name)` whenever it got somewhere. The hardware watchdog is fed only while every task has
done so within its own limit, so one task that hangs brings the whole chip to a reset.
"""

import asyncio
import gc
import time

from micropython import const

_BACKOFF_MAX_S = const(60)
_HEALTHY_MS = const(300_000)
_TICK_MS = const(1000)


class _Task:
    def __init__(self, name, start, limit_ms):
        self.name = name
        self.start = start
        self.limit_ms = limit_ms
        self.seen = time.ticks_ms()
        self.backoff_s = 1


class Supervisor:
    """report(name, error) is called for each death; watchdog is anything with feed(), or None."""

    def __init__(self, report, watchdog=None):
        self._report = report
        self._watchdog = watchdog
        self._tasks = {}

    def add(self, name, start, limit_s):
        """Have `start()`, a function that returns a coroutine, run for ever; limit_s: silence that is a hang."""
        self._tasks[name] = _Task(name, start, limit_s * 1000)

    def progress(self, name):
        """Task `name` got somewhere; also the moment to feed, for its next call may block (a name server: 7 s)."""
        self._tasks[name].seen = time.ticks_ms()
        self._feed()

    def alive(self):
        """All tasks get somewhere: for work that holds them all up on purpose."""
        for name in self._tasks:
            self.progress(name)

    def _feed(self):
        if self._watchdog and self.late() is None:
            self._watchdog.feed()

    def late(self):
        """The name of a task that has made no progress within its limit, or None."""
        now = time.ticks_ms()
        for task in self._tasks.values():
            if time.ticks_diff(now, task.seen) > task.limit_ms:
                return task.name
        return None

    async def _supervise(self, task):
        while True:
            began = time.ticks_ms()
            try:
                await task.start()
                error: Exception = RuntimeError("ended")
            except asyncio.CancelledError:
                raise
            except Exception as caught:
                error = caught
            if isinstance(error, MemoryError):
                gc.collect()
            if time.ticks_diff(time.ticks_ms(), began) > _HEALTHY_MS:
                task.backoff_s = 1
            try:
                self._report(task.name, error)
            except MemoryError:  # likely the reason too; its trace is on the console, and this is not to end the task
                gc.collect()
            for _ in range(task.backoff_s):
                self.progress(task.name)  # a wait on purpose is not a hang
                await asyncio.sleep(1)
            self.progress(task.name)
            task.backoff_s = min(task.backoff_s * 2, _BACKOFF_MAX_S)

    async def run(self):
        """Start every task and watch over them; never returns."""
        for task in self._tasks.values():
            asyncio.create_task(self._supervise(task))
        while True:
            self._feed()
            await asyncio.sleep_ms(_TICK_MS)
