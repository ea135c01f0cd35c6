"""What a transform takes from the heap."""

import micropython
import gc
from array import array
from dsp.fft import RFFT

fft, src, out = RFFT(1024), array("h", bytes(2048)), array("i", bytes(4096))


def used():
    before = gc.mem_alloc()
    fft.run(src, out)
    return gc.mem_alloc() - before


used()
gc.collect()
print(used())
