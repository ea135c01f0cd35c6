"""Keeps the node's tasks alive: restarts what dies, and lets the watchdog bite when something hangs.

Each task runs in a case of its own:

    running --raises--> waiting (backoff 1, 2, 4 … 60 s) --> running
    running for 5 minutes: the backoff starts over

A task says `progress(name)` whenever it got somewhere. The hardware watchdog is fed only while every task has
done so within its own limit, so one task that hangs brings the whole chip to a reset.

Which task that was is told after the reset (build.hang): a mark that outlives it names the task that runs, whenever one
does, and 0 between them; once a task is late it names that one. What a task starts for itself counts as that task.
"""

import asyncio
import gc
import time

from micropython import const

_BACKOFF_MAX_S = const(60)
_HEALTHY_MS = const(300_000)
_TICK_MS = const(1000)

# The position is the number in a mark. A list: the names of a constant tuple from a .mpy take heap of their own.
TASKS = ["", "measure", "publish", "commands", "trial", "ble", "collect", "forward", "health", "power", "rules", "uart"]
# A mark, 30 bits for a number that takes no heap: 12 that say so, 9 of meaning, and those once more, inverted.
_MARK = const(0x2A5 << 18)
_BITS = const(0x1FF)
_WAITS = const(0x100)  # a late task; below it 4 bits for its place and 4 for its number


def _mark(meaning):
    return _MARK | meaning << 9 | meaning ^ _BITS


def unpack(number):
    """(position in TASKS, the task's place, whether it was late) of a mark, or None for what is none."""
    meaning = number >> 9 & _BITS
    if number != _mark(meaning) or meaning & 15 >= len(TASKS):
        return None
    return meaning & 15, meaning >> 4 & 15, bool(meaning & _WAITS)


class _Task:
    def __init__(self, name, start, limit_ms):
        self.name = name
        self.meaning = TASKS.index(name) if name in TASKS else 0
        self.mark = _mark(self.meaning)
        self.start = start
        self.limit_ms = limit_ms
        self.seen = time.ticks_ms()
        self.backoff_s = 1


class _Steps:
    """A coroutine whose task is marked while it runs."""

    def __init__(self, coroutine, task, supervisor):
        self._coroutine = coroutine
        self._task = task
        self._supervisor = supervisor

    def send(self, value):
        self._supervisor.enter(self._task)
        try:
            return self._coroutine.send(value)
        finally:
            self._supervisor.enter(None)

    def throw(self, error):
        self._supervisor.enter(self._task)
        try:
            return self._coroutine.throw(error)
        finally:
            self._supervisor.enter(None)


class Supervisor:
    """report(name, error) is called for each death; watchdog is anything with feed() and mark(number), or None."""

    def __init__(self, report, watchdog=None):
        self._report = report
        self._watchdog = watchdog
        self._tasks = {}
        self._late = None
        self.ended = None  # called when nothing runs any longer, and a person has the prompt
        self.enter(None)

    def add(self, name, start, limit_s):
        """Have `start()`, a function that returns a coroutine, run for ever; limit_s: silence that is a hang."""
        self._tasks[name] = _Task(name, start, limit_s * 1000)

    def progress(self, name, place=0):
        """Task `name` got somewhere; also the moment to feed, for its next call may block (a name server: 7 s).

        place: what it does now, one of build.hang.
        """
        task = self._tasks[name]
        task.seen = time.ticks_ms()
        task.meaning = place << 4 | task.meaning & 15
        task.mark = _mark(task.meaning)
        if task is self._running:
            self.enter(task)
        self._feed()

    def enter(self, task):
        """That task runs from here on, or none."""
        self._running = task
        if self._watchdog and not self._late:
            self._watchdog.mark(task.mark if task else _mark(0))

    def alive(self):
        """All tasks get somewhere: for work that holds them all up on purpose."""
        for name in self._tasks:
            self.progress(name)

    def _feed(self):
        if not self._watchdog:
            return
        name = self.late()
        if name != self._late:
            self._late = name
            if name:
                self._watchdog.mark(_mark(self._tasks[name].meaning | _WAITS))
            else:
                self.enter(self._running)
        if name is None:
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
        create = asyncio.create_task
        if self._watchdog:
            asyncio.create_task = asyncio.core.create_task = lambda coroutine: create(self._owned(coroutine))
        try:
            for self._running in self._tasks.values():
                asyncio.create_task(self._supervise(self._running))
            self._running = None
            while True:
                self._feed()
                await asyncio.sleep_ms(_TICK_MS)
        finally:
            asyncio.create_task = asyncio.core.create_task = create

    def _owned(self, coroutine):
        # what is no coroutine asyncio refuses itself
        return _Steps(coroutine, self._running, self) if self._running and hasattr(coroutine, "send") else coroutine
