"""How an ESP32-C3 shows its flash as memory: a page of 64 KiB where an entry of the cache's MMU says so.

ESP-IDF takes the entries from the first one up for the application; the file system's pages go to the last ones. An
entry holds a page's number, with bit 8 while it is unused (ESP-IDF, soc/ext_mem_defs.h of the chip).
"""

import esp32
import machine
from micropython import const

HEAP = (0x3FC80000, 0x3FCE0000)  # where Python's heap lies: the SRAM on the data bus

_MMU = const(0x600C5000)
_ENTRIES = const(128)
_UNUSED = const(0x100)
_DATA_BUS = const(0x3C000000)
_PAGE = const(16)  # bits of an address within a page


def flash():
    """The file system's block device."""
    return esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]


def show(offset):
    """Where the byte of the flash at `offset`, the file system's first, is to be read; 0 where it can't be shown."""
    page = offset >> _PAGE
    size = flash().info()[3]
    first = _ENTRIES - (size >> _PAGE)
    for number in range(first, _ENTRIES):
        entry = _MMU + 4 * number
        wanted = page + number - first
        if machine.mem32[entry] == _UNUSED:
            machine.mem32[entry] = wanted
        if machine.mem32[entry] != wanted:
            return 0  # taken by another
    return _DATA_BUS + (first << _PAGE)
