"""The unix board: the common hardware over the emulator's own machine and network modules."""

from hal.chip.common import Hal


class Port(Hal):
    TIMER = None  # the emulator holds its watchdog off while somebody is at the prompt
