"""A tachometer: a sensor that gives one or more pulses a turn, on a pin that interrupts.

The handler runs as a hard interrupt, also while the capture owns the processor: it allocates nothing.
"""

import time

_FEWEST = 3  # intervals: a speed from fewer may be a bounce
_UNEVEN = 4  # a pulse that was missed or doubled makes an interval twice or half its neighbours


class Tachometer:
    """attach(handler): has handler(pin) called at each rising edge; pulses: how many make a turn."""

    def __init__(self, attach, pulses):
        self._pulses = pulses
        self._intervals = -1
        self._first = 0
        self._last = 0
        self._shortest = 0
        self._longest = 0
        attach(self._edge)

    def _edge(self, pin):
        now = time.ticks_us()
        if self._intervals < 0:
            self._first = now
        else:
            interval = time.ticks_diff(now, self._last)
            if interval < self._shortest:
                self._shortest = interval
            if interval > self._longest:
                self._longest = interval
        self._last = now
        self._intervals += 1

    def begin(self):
        """Forget the edges so far."""
        self._shortest = 0x3FFFFFFF
        self._longest = 0
        self._intervals = -1

    def turns_hz(self):
        """Turns a second since begin(), or None: too few edges, or too uneven ones to be a shaft's."""
        intervals = self._intervals
        if intervals < _FEWEST or self._longest * _UNEVEN > self._shortest * (_UNEVEN + 2):
            return None
        return intervals * 1e6 / self._pulses / time.ticks_diff(self._last, self._first)
