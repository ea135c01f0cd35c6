"""Two transforms of 2048 as one of 4096."""

import json
from array import array

from dsp import streams, tables
from dsp.fft import RFFT, SIGN32

fft = RFFT(2048)
result = []
for block in argument:
    both = array("i", bytes(4 * 4096))
    view = memoryview(both)
    odd = fft.run(array("h", block[1::2]), view[2048:])
    even = fft.run(array("h", block[::2]), view[:2048])
    exponent = min(even, odd)
    form = array("i", (SIGN32, even - exponent, odd - exponent))
    streams.join(view[:2048], view[2048:], tables.SINE, form)
    result.append([exponent, list(both)])
print(json.dumps(result))
