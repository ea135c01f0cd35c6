"""The unix board: the common hardware over the emulator's own machine and network modules."""

from hal.chip.common import Hal


class Port(Hal):
    TIMER = None  # the emulator holds its watchdog off while somebody is at the prompt

    def one_wire(self, pin):
        """None: this port of MicroPython has no 1-Wire."""
        raise ValueError("no 1-Wire on the unix board: emulate a Pico W")
