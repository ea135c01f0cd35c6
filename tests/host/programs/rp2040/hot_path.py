"""Follows spi.py: reads of a block with the heap locked."""

import micropython

b = bytearray(512)


def go():
    micropython.heap_lock()
    for _ in range(3):
        cs(0)
        spi.readinto(b, 0x80)
        cs(1)
    micropython.heap_unlock()


go()
print(b[0], b[-1])
