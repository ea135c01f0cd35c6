"""One number that outlives a reset by the watchdog, and not the loss of power: a register of the RP2040's watchdog, or
the ESP32's low-power memory. `set` allocates nothing.
"""

import machine
from micropython import const

_SIZE = const(4)


class Register:
    """A register of 32 bits at `address`."""

    def __init__(self, address):
        self._address = address

    def get(self):
        return machine.mem32[self._address]

    def set(self, number):
        machine.mem32[self._address] = number


class Memory:
    """The memory that machine.RTC keeps; it is not there after the power was off, which reads as 0."""

    def __init__(self):
        self._store = machine.RTC().memory
        self._buffer = bytearray(_SIZE)

    def get(self):
        data = self._store()
        return int.from_bytes(data, "little") if len(data) == _SIZE else 0

    def set(self, number):
        buffer = self._buffer
        for i in range(_SIZE):
            buffer[i] = number & 255
            number >>= 8
        self._store(buffer)
