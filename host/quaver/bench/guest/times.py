"""The signals, and the shortest of some calls, since interrupts only lengthen one. Given: signals, sizes."""

import gc
import time
from array import array
from binascii import b2a_base64
from dsp import fft


def blocks(n):
    """Each signal of n samples, from a file that has them size by size."""
    with open("blocks.bin", "rb") as file:
        file.seek(signals * 2 * sum(size for size in sizes if size < n))
        for _ in range(signals):
            block = array("h", bytes(2 * n))
            file.readinto(block)
            yield block


def shortest(function, source, block):
    """What `function` takes of a copy of the block in `source`, which it may spoil."""
    found = 1 << 29
    for _ in range(3):
        source[:] = block
        before = time.ticks_us()
        function()
        found = min(found, time.ticks_diff(time.ticks_us(), before))
    return found


def nothing(source, out):
    pass
