"""asyncio's Task and TaskQueue in terms of `time`, for a clock that the host owns.

The port's own pair is written in C and dates a task by the real clock, so under a virtual clock a fresh task
would wait for hours. `install()` must run before asyncio is imported: its core takes both from `_asyncio`.
"""

import sys
import time


class TaskQueue:
    """Tasks ordered by the tick they are due at; of equal ones the first pushed comes first."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        return self._tasks[0] if self._tasks else None

    def pop(self):
        return self._tasks.pop(0)

    def push(self, task, due=None):
        task.data = None
        task.ph_key = time.ticks_ms() if due is None else due
        tasks = self._tasks
        at = len(tasks)
        while at and time.ticks_diff(tasks[at - 1].ph_key, task.ph_key) > 0:
            at -= 1
        tasks.insert(at, task)

    def remove(self, task):
        self._tasks.remove(task)


class Task:
    """state: True runs unwatched; a TaskQueue holds who awaits it; None or False: finished, (un)awaited."""

    def __init__(self, coro, core):
        self.coro = coro
        self.data = None  # what it waits on; once finished, how it ended
        self.state = True
        self.ph_key = 0
        self._core = core  # the globals of asyncio.core

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        waiter = self._core["cur_task"]
        self.state.push(waiter)
        waiter.data = self

    def done(self):
        return not self.state

    def cancel(self):
        if not self.state:
            return False
        core = self._core
        task = self
        if task is core["cur_task"]:
            raise RuntimeError("can't cancel self")
        while isinstance(task.data, Task):  # the cancellation goes to the innermost that is waited for
            task = task.data
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            core["_task_queue"].push(task)
        elif time.ticks_diff(task.ph_key, time.ticks_ms()) > 0:
            core["_task_queue"].remove(task)
            core["_task_queue"].push(task)
        task.data = core["CancelledError"]
        return True


def install():
    """Have asyncio use this module's pair."""
    sys.modules["_asyncio"] = sys.modules[__name__]
