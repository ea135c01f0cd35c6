"""Memory of ESP-IDF that Python's heap must not take when it grows: it takes all that is in one piece.

The stack of a thread that waits is the one piece that Python can hold, and give back.
"""

import _thread
import gc
import time

import esp32
from micropython import const

_COMMAND = const(24000)  # bytes of Python's heap that a command's modules take, as small as its pieces are
_OBEYED = const(9000)  # that one takes where what opens and obeys it is there
_SESSION = const(20000)  # of ESP-IDF's, with a session of TLS up: less than one without it has
_STACK = const(4096)  # bytes of a task's stack, the smallest that MicroPython makes
_LEFT = const(3500)  # that is left of a piece for what else the network takes
_ENDS_MS = const(20)  # the idle task frees a stack: when it runs, which what wakes this one may put off
_TURNS = const(10)

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

    def holds(self):
        return self._lock is not None

    def give(self):
        if self._lock:
            least = free() + self._size
            self._lock.release()
            self._lock = None
            for _ in range(_TURNS):
                time.sleep_ms(_ENDS_MS)
                if free() >= least:
                    break


def free():
    """Bytes that ESP-IDF has free in all."""
    return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))


def release():
    """Give back what was held for the start alone."""
    while gates:
        gates.pop().give()


def fill():
    """Hold what is free but for pieces in which no task's stack fits, until `release`."""
    while (largest := max(region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA))) > _STACK:
        gate = Gate(max(largest - _LEFT, _STACK))
        if not gate.holds():
            break
        gates.append(gate)


def short(stays):
    """Whether a command would have Python's heap grow over what a session of the network needs.

    stays: what opens and obeys it is there.
    """
    gc.collect()
    # It counts what Python's heap could grow by.
    own = gc.mem_free() - max(region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA))
    return own < (_OBEYED if stays else _COMMAND) and free() < _SESSION
