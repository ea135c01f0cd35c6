"""An asyncio event loop that lives by the boards' clock: its timers are virtual time, its waits are a board's.

The loop is a participant of the clock like any board. With nothing to do it names the moment of its next timer
and waits for its turn; a board that wants something of it calls `post`, which makes the loop hold up everybody
else from that very moment until the work is done, so nothing leaps over what has just been sent.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from quaver.emulator.clock import FOREVER, Clock
from quaver.errors import QuaverError

_T = TypeVar("_T")

_CLOSE_S = 5.0
_LONGEST_POLL_S = 3600.0


class _Selector(selectors.DefaultSelector):
    """Waits for the loop's sockets and for its turn on the clock, whichever is first."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.register(self._wake_fd, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._open = True
        self._clock = clock
        self._posted: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.member = clock.join(name, wake=self.wake)
        self.call_soon: Callable[..., Any] = lambda *_: None
        self.holds = 0

    def wake(self) -> None:
        with self._lock:
            if self._open:
                os.eventfd_write(self._wake_fd, 1)

    def post(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
        with self._lock:
            if not self._open:
                return False
            self._posted.append((work, arguments))
            self._clock.cancel(self.member)
            os.eventfd_write(self._wake_fd, 1)
        return True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._poll(0)
        if ready or self._take() or (timeout is not None and timeout <= 0):
            return ready
        while self.holds:
            ready = self._poll(None)
            if ready or self._take():
                return ready
        member = self.member
        with self._lock:
            if self._posted:
                until = member.now
            elif timeout is None:
                until = FOREVER
            else:
                until = self._now() + math.ceil(timeout * 1e9)
            self._clock.begin(member, until)
        while pause := self._clock.due(member):
            ready = self._poll(None if math.isinf(pause) else min(pause, _LONGEST_POLL_S))
            if ready or self._posted:
                self._clock.cancel(member)
        self._take()
        return ready or self._poll(0)

    def _now(self) -> int:
        return self._clock.now if self._clock.real_time else self.member.now

    def _poll(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        for at, (key, _) in enumerate(ready):
            if key.fd == self._wake_fd:
                os.eventfd_read(self._wake_fd)
                del ready[at]
                break
        return ready

    def _take(self) -> bool:
        """Hand what was posted to the loop; whether there was any."""
        found = False
        while self._posted:
            work, arguments = self._posted.popleft()
            self.call_soon(work, *arguments)
            found = True
        return found

    def close(self) -> None:
        self._clock.leave(self.member)
        with self._lock:
            self._open = False
            os.close(self._wake_fd)
        super().close()


class ClockLoop(asyncio.SelectorEventLoop):
    """The event loop; run it in a thread of its own. `time()` is the clock's, in seconds."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._chooser = _Selector(clock, name)
        super().__init__(self._chooser)
        self._chooser.call_soon = self.call_soon

    def time(self) -> float:
        return (self._clock.now if self._clock.real_time else self._chooser.member.now) / 1e9

    def live(self) -> None:
        """The calling thread runs the loop from now on."""
        self._clock.live(self._chooser.member)

    def post(self, work: Callable[..., Any], *arguments: Any) -> bool:
        """From any thread: have `work` called in the loop at the present moment; False once the loop is closed."""
        return self._chooser.post(work, arguments)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """In the loop: virtual time stands still meanwhile, for all boards. For an await on the real world."""
        self._chooser.holds += 1
        try:
            yield
        finally:
            self._chooser.holds -= 1


class ClockThread:
    """A ClockLoop in a thread of its own, for callers in other threads.

    closed: what is said to who comes after `close`. error: the class of what is raised.
    """

    def __init__(self, clock: Clock, name: str, closed: str, error: type[QuaverError]) -> None:
        self.loop = ClockLoop(clock, name)
        self._closed = closed
        self._error = error
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: dict[concurrent.futures.Future[Any], Coroutine[Any, Any, Any]] = {}  # what `start` has to fulfil
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.loop.live()
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        for result, coroutine in list(self._owed.items()):  # came too late to begin: nobody waits for it in vain
            with contextlib.suppress(RuntimeError):  # it awaits something while it ends
                coroutine.close()
            result.set_exception(self._error(self._closed))

    def post(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Have `work` called in the thread at the present moment. Nothing happens once it is closed."""
        self.loop.post(work, *arguments)

    def call(self, work: Callable[[], _T]) -> _T:
        """What `work` returns there."""

        async def call() -> _T:
            return work()

        return self.run(call())

    def start(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Run a coroutine there; the future takes its result or its exception."""
        result: concurrent.futures.Future[_T] = concurrent.futures.Future()

        async def main() -> None:
            try:
                result.set_result(await coroutine)
            except asyncio.CancelledError:
                # Bumble cancels what waits on a connection that ends.
                lost = "a connection was lost in the middle of a request: ask again"
                result.set_exception(self._error(self._closed if self._closing else lost))
                raise
            except GeneratorExit:  # it outlived the loop: `_run` has told whoever waits
                raise
            except BaseException as error:
                result.set_exception(error)

        def begin() -> None:
            task = self.loop.create_task(main())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._owed[result] = coroutine
        result.add_done_callback(lambda result: self._owed.pop(result, None))
        if not self.loop.post(begin):
            self._owed.pop(result, None)
            coroutine.close()
            raise self._error(self._closed)
        return result

    def run(self, coroutine: Coroutine[Any, Any, _T], timeout: float | None = 60.0) -> _T:
        """Run a coroutine there and return its result; `timeout` is in real seconds."""
        result = self.start(coroutine)
        try:
            return result.result(timeout)
        except concurrent.futures.TimeoutError:
            raise self._error(f"no result within {timeout} s of real time: read what the boards print") from None

    def close(self) -> None:
        """End the loop, and whatever runs in it; boards are no longer held up by it. May be called twice."""
        with self._lock:
            first, self._closing = not self._closing, True
        if first:  # a second stop would cut short what the first one began
            self.loop.post(self.loop.stop)
        self._thread.join(_CLOSE_S)
