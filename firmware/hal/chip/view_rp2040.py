"""How an RP2040 shows its flash as memory: all of it, always (datasheet, section 2.6.3)."""

import rp2

HEAP = (0x20000000, 0x20042000)  # where Python's heap lies


def flash():
    """The file system's block device."""
    return rp2.Flash()


def show(offset):
    """Where the byte of the flash at `offset` is to be read."""
    return 0x10000000 + offset
