"""A tachometer: a sensor that gives one or more pulses a turn, on a pin that interrupts.

The handler runs as a hard interrupt, also while the capture owns the processor: it allocates nothing. Between
measurements the pin is not listened to: a wheel of a hundred teeth would take the processor for nothing.
"""

import time
from array import array

if False:  # types alone: never compiled
    from collections.abc import Callable

    from machine import Pin

_MOMENTS = 128
_FEWEST = 3  # intervals: a speed from fewer may be a bounce
_UNEVEN = 4  # a pulse that was missed or doubled makes an interval twice or half its neighbours


class Tachometer:
    """attach(handler): has handler(pin) called at each rising edge, returns the machine's interrupt object.

    pulses: how many make a turn. `moments`: of whole turns, or of every
    second, fourth ... one, in microseconds since begin(); `kept`: how many there are.
    """

    def __init__(self, attach: "Callable", pulses: int) -> None:
        self._pulses = pulses
        self.moments = array("i", bytes(4 * _MOMENTS))
        self._forget()
        self._interrupt = attach(self._edge)
        self._rising = self._interrupt.trigger()
        self._interrupt.trigger(0)

    def _forget(self) -> None:
        self._intervals = -1
        self._marks = 0  # left to the end of this turn
        self._began = self._first = self._last = self._turned = time.ticks_us()
        self._turns = 0
        self.kept = 0
        self._every = self._left = 1
        self._shortest = 0x3FFFFFFF
        self._longest = 0

    def _edge(self, pin: "Pin") -> None:
        now = time.ticks_us()
        if self._intervals < 0:
            self._first = now
            self._marks = self._pulses
            self._keep(now)
        else:
            interval = time.ticks_diff(now, self._last)
            if interval < self._shortest:
                self._shortest = interval
            if interval > self._longest:
                self._longest = interval
            self._marks -= 1
            if self._marks == 0:
                self._marks = self._pulses
                self._turns += 1
                self._turned = now
                self._left -= 1
                if self._left == 0:
                    self._left = self._every
                    self._keep(now)
        self._last = now
        self._intervals += 1

    def _keep(self, now: int) -> None:
        """Write down the moment of a whole turn. When all places are taken every second one is dropped, also later."""
        moments = self.moments
        k = self.kept
        moments[k] = time.ticks_diff(now, self._began)
        k += 1
        if k == _MOMENTS:
            k = 0
            while k < _MOMENTS >> 1:
                moments[k] = moments[2 * k]
                k += 1
            self._every *= 2
        self.kept = k

    def begin(self) -> None:
        """Listen from now on; the edges so far are forgotten."""
        self._forget()
        self._interrupt.trigger(self._rising)
        self._began = time.ticks_us()  # to listen takes longer than a pulse of a fast wheel

    def turns_hz(self) -> float | None:
        """Turns a second since begin(), or None: too few edges, or too uneven ones to be a shaft's. Stops listening.

        The silence before the first edge and after the last one counts as an interval that is not over: a pickup
        that was torn off half-way, and a shaft that stopped, have no speed.
        """
        now = time.ticks_us()
        self._interrupt.trigger(0)  # before all reads: an edge between two of them would be half counted
        silence = max(
            self._longest,
            time.ticks_diff(self._first, self._began),
            time.ticks_diff(now, self._last),
        )
        if self._intervals < _FEWEST or silence * _UNEVEN > self._shortest * (_UNEVEN + 2):
            return None
        if self._turns:  # whole ones: how even the marks stand on the shaft is then of no matter
            return self._turns * 1e6 / time.ticks_diff(self._turned, self._first)
        return self._intervals * 1e6 / self._pulses / time.ticks_diff(self._last, self._first)
