"""ESP32 family: the common hardware, with the limits of its watchdog and its hardware timers."""

from micropython import const

from hal.chip.common import Hal

_PYTHON = const(90000)  # bytes that its heap grows by, from 64 kB; ESP-IDF gives it in pieces of 4 kB
_NETWORK = (27000, 6500)  # bytes for the network's packets, connections and TLS, in ESP-IDF's two largest pieces

_heap: list = []


def hold_back():
    """Give Python's heap its share, and keep the rest from it until the function that this returns is called.

    Python takes all that ESP-IDF has left when its heap grows, and the network would find none. So it grows here,
    once, in one piece.
    """
    global _heap
    _heap = [None] * (_PYTHON // 4)
    _heap.clear()
    for number in range(8):  # two blocks: v1.27's collector gives a piece back that has but its first one in use
        _heap.append(number)
    # The stack of a thread that waits is the one piece that can be held and given back.
    import _thread

    gates = []
    before = _thread.stack_size()
    for size in _NETWORK:
        gate = _thread.allocate_lock()
        gate.acquire()
        _thread.stack_size(size)
        try:
            _thread.start_new_thread(gate.acquire, ())
        except OSError:
            continue  # a chip with less of it
        gates.append(gate)
    _thread.stack_size(before)

    def release():
        for gate in gates:
            gate.release()

    return release


class Port(Hal):
    WATCHDOG_MAX_MS = 60000  # the task watchdog takes any time; a minute outlasts every bounded wait of ours
    TIMER = 0

    def on_rising(self, pin, handler):
        """None: this port of MicroPython runs a pin's handler when the processor is free, and a capture leaves none."""
        raise ValueError("no tachometer on an ESP32, whose interrupts wait for the capture's end")
