"""Runs an emulated chip: batches of instructions, and between them the host's events and the pace.

Virtual time passes as the guest computes, slower or faster than real time, and leaps while it sleeps.
Four things hold the leaps back: an answer under way on the host's network (then sleep takes real time, so that
a broker's answer arrives before the guest's patience ends), a prompt, at which the guest waits for a person, on request
real time as such, and a clock that the board shares with others, which gives it one short turn after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

_SLICE_NS = 20e6  # of virtual time that a batch may cover
_PACED_SLICE_NS = 2e6
_BREATH_S = 0.004  # of real time between two looks at the host's events
_IDLE_SPEED = 50.0  # virtual seconds that an idle guest passes in a real one: leaps cost the host a little, too


class _Batch:
    """What rp2040py's loop asks of a simulator; slots, because it asks after every instruction."""

    __slots__ = ("clock", "rp2040", "stopped")

    def __init__(self, mcu: Any) -> None:
        self.rp2040 = mcu
        self.clock = mcu.clock
        self.stopped = False


class Engine:
    """Runs one chip until `stop`.

    run_batch: runs a batch of at most 5 ms of real time. after_batch: called after it, to carry output.
    waiting: whether the guest awaits something of the host's, so that sleep is to take real time. resting: whether it
    is at its prompt. turn: awaited before each batch for the nanoseconds of virtual time that it may take; None for a
    board on its own. settle: awaited after each batch of a board that lives in virtual time alone, as fast as it can.
    """

    def __init__(
        self,
        mcu: Any,
        *,
        real_time: bool,
        run_batch: Callable[[Any], None],
        after_batch: Callable[[], None],
        waiting: Callable[[], bool],
        resting: Callable[[], bool],
        turn: Callable[[], Awaitable[int]] | None,
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settle = settle
        self._ask = False
        self._clock = mcu.clock
        self._real_time = real_time
        self._run_batch = run_batch
        self._after_batch = after_batch
        self._waiting = waiting
        self._resting = resting
        self._called = asyncio.Event()
        self._turn = turn
        self._batch = _Batch(mcu)
        self._slice = mcu.clock.create_alarm(self.end_batch)
        self._stopped = False

    def end_batch(self) -> None:
        """End the running batch after the current instruction; the next one follows at once."""
        self._batch.stopped = True

    def ask(self) -> None:
        """End the turn after the current instruction, and ask for the next."""
        self._ask = True
        self._batch.stopped = True

    def stop(self) -> None:
        self._stopped = True
        self._batch.stopped = True
        self._called.set()

    def call(self) -> None:
        """The host wants something of a guest that rests."""
        self._called.set()

    async def run(self) -> None:
        batch = self._batch
        pace = _Pace(self._clock)
        breath = time.monotonic()
        end: float | None = None
        while not self._stopped:
            real = self._waiting() or self._real_time
            resting = not real and self._resting()
            speed = 1.0 if real or resting else _IDLE_SPEED
            length = _PACED_SLICE_NS if real else _SLICE_NS
            if self._turn is not None:
                if end is None or self._ask or self._clock.nanos >= end:
                    self._ask = True
                    while self._ask:
                        # What comes with a turn (a reset, data) may say something at once: that leaves now, and not at
                        # the end of a batch, which is a moment of real time.
                        self._ask = False
                        length = await self._turn()
                    end = self._clock.nanos + length
                else:  # the last batch ended before its time
                    length = end - self._clock.nanos
            self._slice.schedule(length)
            batch.stopped = False
            self._run_batch(batch)
            self._after_batch()
            if self._settle is not None:
                await self._settle()
                continue
            ahead = pace.ahead(speed)
            now = time.monotonic()
            if ahead > 0.001:
                if resting:
                    self._called.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._called.wait(), ahead)
                else:
                    await asyncio.sleep(min(ahead, 0.01))
                breath = time.monotonic()
            elif now - breath > _BREATH_S:
                await asyncio.sleep(0)
                breath = time.monotonic()


class _Pace:
    """How far virtual time has run ahead of real time at a given speed, in real seconds."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._speed = 1.0
        self._real = time.monotonic()
        self._virtual: float = clock.nanos

    def ahead(self, speed: float) -> float:
        real = time.monotonic()
        virtual: float = self._clock.nanos
        if speed != self._speed:
            self._speed, self._real, self._virtual = speed, real, virtual
            return 0.0
        ahead = (virtual - self._virtual) / 1e9 / speed - (real - self._real)
        if ahead < -0.05:  # a busy guest is behind for ever: do not sprint once it rests
            self._real, self._virtual = real, virtual
        return ahead
