"""An asyncio event loop that lives by the boards' clock: its timers are virtual time, its waits are a board's.

The loop is a participant of the clock like any board. With nothing to do it names the moment of its next timer
and waits for its turn; a board that wants something of it calls `post`, which makes the loop hold up everybody
else from that very moment until the work is done, so nothing leaps over what has just been sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from quaver.emulator.clock import FOREVER, Clock

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
