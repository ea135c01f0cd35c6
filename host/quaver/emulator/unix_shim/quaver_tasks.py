"""The task queue of the board's asyncio, on the board's clock.

The built-in one stamps tasks with the host's clock, in C and out of reach, so asyncio's frozen core finds this one
instead. It keeps to the interface that the core relies on; a node runs a dozen tasks, so the queue is a plain
list in order of time, first come first served within a millisecond. Scheduling allocates nothing, as built in.
"""

from time import ticks_diff, ticks_ms

import micropython
from micropython import const

_LATEST = const((1 << 30) - 1)
_HALF = const(1 << 29)


class TaskQueue:
    def __init__(self):
        self._first = None

    def peek(self):
        return self._first

    @micropython.native
    def push(self, task, key=None):
        if key is None:
            key = ticks_ms()
        task.data = None
        task.ph_key = key
        before = None
        after = self._first
        while after is not None and ((after.ph_key - key + _HALF) & _LATEST) <= _HALF:  # ticks_diff(…) <= 0
            before = after
            after = after.following
        task.following = after
        if before is None:
            self._first = task
        else:
            before.following = task

    @micropython.native
    def pop(self):
        task = self._first
        if task is None:
            raise IndexError("empty heap")
        self._first = task.following
        task.following = None
        return task

    @micropython.native
    def remove(self, task):
        before = None
        here = self._first
        while here is not task:
            before = here
            here = here.following
        if before is None:
            self._first = task.following
        else:
            before.following = task.following
        task.following = None


class Task:
    """state: True while it runs unwaited, a TaskQueue of waiters or a callable while it runs waited for, None
    when it is done and nobody knows, False when it is done and somebody does. data: what it waits on, its
    result, or the exception to throw into it.
    """

    core = None  # the globals of asyncio.core

    def __init__(self, coro, core=None):
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0
        self.following = None
        if core is not None:
            Task.core = core

    def done(self):
        return not self.state

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
        waiter = self.core["cur_task"]
        self.state.push(waiter)
        waiter.data = self

    def cancel(self):
        if not self.state:
            return False
        if self is self.core["cur_task"]:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        queue = self.core["_task_queue"]
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            queue.push(task)
        elif ticks_diff(task.ph_key, ticks_ms()) > 0:
            queue.remove(task)
            queue.push(task)
        task.data = self.core["CancelledError"]
        return True
