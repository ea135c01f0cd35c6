"""The hardware watchdog, and what becomes of it when a person takes over at the REPL."""

import machine
from micropython import const

_REPL_FEED_MS = const(2000)


class Watchdog:
    """mark(number): keeps a number that outlives the reset by it."""

    def __init__(self, timeout_ms, timer, mark):
        self._timer = timer
        self.mark = mark
        self._watchdog = machine.WDT(timeout=timeout_ms)

    def feed(self):
        self._watchdog.feed()

    def hand_over(self):
        """Have a timer feed it from now on: after a Ctrl-C nobody at the REPL wants to be reset."""
        self.mark(0)
        if self._timer is not None:  # kept: collected as garbage, an RP2040's timer ends
            self._timer = machine.Timer(self._timer, period=_REPL_FEED_MS, callback=lambda timer: self.feed())
