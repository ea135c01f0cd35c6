"""Memory of ESP-IDF that Python's heap must not take when it grows: it takes all that is in one piece.

The stack of a thread that waits is the one piece that Python can hold, and give back.
"""

import _thread
import time

from micropython import const

_ENDS_MS = const(20)  # the idle task frees a stack

gates: list = []  # what hal.chip.esp32 holds while a node is built, the largest first


class Gate:
    """Holds `size` bytes in one piece, where there are so many."""

    def __init__(self, size):
        self._size = size
        self._lock = None
        self.hold()

    def hold(self):
        if self._lock:
            return
        lock = _thread.allocate_lock()
        lock.acquire()
        before = _thread.stack_size()
        _thread.stack_size(self._size)
        try:
            _thread.start_new_thread(lock.acquire, ())
            self._lock = lock
        except OSError:
            pass  # less is left: what needs it says so
        _thread.stack_size(before)

    def give(self):
        if self._lock:
            self._lock.release()
            self._lock = None
            time.sleep_ms(_ENDS_MS)


def release():
    """Give back what was held for the start alone."""
    while gates:
        gates.pop().give()
