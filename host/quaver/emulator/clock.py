"""The one owner of virtual time: boards join it, say until when they wait, and it says when they may go on.

A board that computes stands still at its own time; a board that waits names the moment it waits for. In fast
mode the earliest waiter goes on as soon as every other board waits for that moment or a later one, so time
leaps over idleness and what happens at one moment on one board is seen by the others in that order. In real
time a waiter goes on when the wall clock has come that far. A board at its prompt waits for a person, not for
time: it is parked, and the others do not wait for it.

Order holds to within the few microseconds that a board adds by reading its own clock between two operations.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

FOREVER = 1 << 61  # a moment that no clock leaps to: only a cancel ends such a wait


class Participant:
    """One board's place in a clock. `now` is its own virtual time in ns; it never runs backwards."""

    def __init__(
        self,
        name: str,
        order: int,
        wake: Callable[[], None] | None,
        parked: Callable[[], bool] | None,
        slack: int,
    ) -> None:
        self.name = name
        self.order = order
        self.slack = slack
        self.now = 0
        self.until: int | None = None  # None while it runs
        self.parked = parked
        self._woken = threading.Event()
        self.wake: Callable[[], None] = wake or self._woken.set

    def rest(self, seconds: float) -> None:
        """Sleep until woken, at most so long; only for a participant without a wake of its own."""
        self._woken.wait(None if math.isinf(seconds) else seconds)
        self._woken.clear()


class Clock:
    """Virtual time for any number of boards, in ns since the clock was made.

    real_time: virtual time keeps the pace of the wall clock; otherwise it leaps to the next thing to do.
    All methods may be called from any thread.
    """

    def __init__(self, real_time: bool = False) -> None:
        self.real_time = real_time
        self._lock = threading.Lock()
        self._members: list[Participant] = []
        self._joined = 0
        self._now = 0
        self._floor = 0
        self._here = threading.local()
        self._started = time.monotonic_ns()

    @property
    def now(self) -> int:
        """The latest moment that any board was let go at, in ns."""
        if self.real_time:
            return time.monotonic_ns() - self._started
        return self._now

    def live(self, member: Participant) -> None:
        """The calling thread is the member's from now on: what it ends or hastens comes at its own time."""
        self._here.member = member

    def _moment(self, waits: Participant) -> int:
        """When a wait is ended by the calling thread: at its own time, or at the present where it has none."""
        member: Participant | None = getattr(self._here, "member", None)
        return self.now if self.real_time or member is None or member is waits else member.now

    @property
    def alone(self) -> bool:
        """Whether nobody's order has to be kept: a single board needs to ask only when it waits."""
        return len(self._members) == 1

    def join(
        self,
        name: str,
        wake: Callable[[], None] | None = None,
        parked: Callable[[], bool] | None = None,
        slack: int = 0,
    ) -> Participant:
        """Enter at the clock's present time, running.

        wake: called, from any thread, when `due` should be asked again. parked: whether the board is at its
        prompt, asked only while it would hold up another; the board calls `went` when it went there. slack: by how
        many ns it may run ahead of others, so that two slow boards compute at the same time; what happens between
        them is ordered to within as much.
        """
        with self._lock:
            member = Participant(name, self._joined, wake, parked, slack)
            member.now = self._present()
            self._joined += 1
            self._members.append(member)
            return member

    def _present(self) -> int:
        """Where all have come: who runs holds the others back, and who waits may have told of a moment after it."""
        running = [o.now for o in self._members if o.until is None and not (o.parked and o.parked())]
        if self.real_time or not running:
            return max([self.now, *(other.now for other in self._members)])
        return max(self._floor, min(running))

    def leave(self, member: Participant) -> None:
        """The board stopped: the others no longer wait for it. May be called twice."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
            following = self._following(member)
        if following is not None:
            following.wake()

    def horizon(self, member: Participant) -> int:
        """Until when nobody else does anything: so far `member`, which runs, may go without asking."""
        with self._lock:
            if self.real_time:
                return 0
            return min(
                (o.now if o.until is None else o.until for o in self._members if o is not member), default=FOREVER
            )

    def went(self, member: Participant) -> None:
        """The board went to its prompt without a word to the clock: who waited for it may go on."""
        with self._lock:
            following = self._following(member)
        if following is not None:
            following.wake()

    def wait_until(self, member: Participant, t_ns: int) -> int:
        """Block until `t_ns`; returns the time then, which is earlier only after a `cancel`."""
        self.begin(member, t_ns)
        while pause := self.due(member):
            member.rest(pause)
        return member.now

    def begin(self, member: Participant, t_ns: int) -> None:
        """Start to wait for `t_ns` without blocking; `due` tells when it is there."""
        with self._lock:
            # One that comes back from its prompt enters here.
            member.now = max(member.now, self.now if self.real_time else self._floor)
            member.until = max(t_ns, member.now)
            self._now = max(self._now, member.now)
            following = self._following(member)
        if following is not None:
            following.wake()

    def due(self, member: Participant) -> float:
        """0.0 when the wait is over and the board runs on; else the seconds after which to ask again."""
        with self._lock:
            if member.until is None:
                return 0.0
            pause = self._pause(member, member.until)
            if pause:
                return pause
            member.now = member.until
            member.until = None
            self._floor = max(self._floor, member.now)
            self._now = max(self._now, member.now)
            following = self._following(member)  # with slack, or of the same moment
        if following is not None:
            following.wake()
        return 0.0

    def cancel(self, member: Participant) -> int:
        """Something else ends the wait now; returns the time at which it found the board."""
        with self._lock:
            if member.until is not None:
                member.now = max(member.now, min(member.until, self._moment(member)))
                member.until = None
            following = self._following(member)
        if following is not None:
            following.wake()
        return member.now

    def hasten(self, member: Participant) -> None:
        """Something else shortens the wait: it is over when the board's turn comes at this moment."""
        with self._lock:
            if member.until is not None:
                member.until = max(member.now, min(member.until, self._moment(member)))

    def _pause(self, member: Participant, until: int) -> float:
        if self.real_time:
            return max(0.0, (until - self.now) / 1e9)
        if until >= FOREVER:
            return math.inf
        for other in self._members:
            at = other.now if other.until is None else other.until
            if other is member or (at + member.slack, other.order) > (until, member.order):
                continue
            if other.until is not None or other.parked is None or not other.parked():
                return math.inf  # its turn comes first, and its next wait, or its prompt, wakes us
        return 0.0

    def _following(self, member: Participant) -> Participant | None:
        """Who is to be woken when `member` began or ceased to wait: the earliest other waiter, if it may go on."""
        found: Participant | None = None
        for other in self._members:
            if (
                other.until is not None
                and other is not member
                and (found is None or (other.until, other.order) < (found.until, found.order))
            ):
                found = other
        if found is None or found.until is None or self.real_time or self._pause(found, found.until):
            return None
        return found
