"""Every kernel of the hot path with the heap locked."""

from array import array

import micropython

from dsp import kernels, tables, windows
from dsp.fft import RFFT
from dsp.unpack import gather

n = 4096
fft = RFFT(n)
samples, out, raw = array("h", bytes(2 * n)), array("i", bytes(4 * n)), bytearray(7 * 128)
sums, form = array("i", bytes(48)), array("i", (n, 0, 15, 1 << 14, 1))
windowed = array("h", bytes(2 * n))
micropython.heap_lock()
gather(raw, 128, 7, 5, 1, samples, 0)
kernels.moments(samples, n, sums)
windows.hann(samples, windowed, tables.SINE, form)
windows.flat_top(samples, windowed, tables.SINE, form)
fft.run(windowed, out)
micropython.heap_unlock()
print("true")
