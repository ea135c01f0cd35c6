"""The unix board: the common hardware over the emulator's own machine and network modules."""

from hal.common import Hal


class Port(Hal):
    pass
