"""ESP32 family: the common hardware, with the limits of its watchdog and its hardware timers."""

import json
import os

import machine

from hal import held
from hal.chip.common import Hal

_NETWORK = (17400, 9500)  # bytes for the network in one piece each: the first one for TLS alone

_heap: list = []


def _sends_by_bluetooth():
    """Whether what this board starts with (node.trial) makes it a node behind a gateway."""
    names = os.listdir("/")
    trial = "config.next" in names and "config.tried" not in names
    try:
        with open("/config.next" if trial else "/config.json") as file:
            config = json.load(file)
        return config.get("role") != "gateway" and config.get("link") == "ble"
    except (OSError, ValueError, AttributeError, MemoryError):
        return False


def hold_back(board, hurry):
    """Give Python's heap its share, and keep the rest from it until the function that this returns is called.

    Python takes all that ESP-IDF has left when its heap grows, and the network would find none. So it grows here,
    once, in one piece, by what the board's file says; ESP-IDF gives it in pieces of 4 kB. Bluetooth takes its 30 kB
    before: then it has them, however much Python takes. hurry: this start has no link.
    """
    global _heap
    if not hurry and _sends_by_bluetooth():
        try:
            from bluetooth import BLE

            BLE().active(True)
        except (ImportError, OSError):
            pass  # links.ble, or what builds it, tells why
    _heap = [None] * (board.PYTHON // 4)
    _heap.clear()
    for number in range(8):  # two blocks: v1.27's collector gives a piece back that has but its first one in use
        _heap.append(number)
    for size in _NETWORK:
        held.gates.append(held.Gate(size))

    return held.release


class Port(Hal):
    WATCHDOG_MAX_MS = 60000  # the task watchdog takes any time; a minute outlasts every bounded wait of ours
    TIMER = 0
    short = staticmethod(held.short)

    def on_edge(self, pin, handler):
        """As the common one, but within a millisecond or so: this port has no interrupt that runs at once."""
        pin = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
        pin.irq(handler, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)

    def at_once(self, pin, handler, falling=False):
        """None: this port of MicroPython runs a pin's handler when the processor is free, and a capture leaves none."""
        raise ValueError("an ESP32's interrupts wait for the capture's end: use an RP2040")
