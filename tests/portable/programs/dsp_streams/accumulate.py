"""The totals over many blocks."""

import json
from array import array

from dsp import kernels, streams
from dsp.fft import SIGN32

sums = array("i", bytes(48))
result = []
for blocks in argument:
    totals = array("i", [0] * 10 + [0x7FFF, -0x8000, SIGN32])
    for block in blocks:
        kernels.moments(array("h", block), len(block), sums)
        streams.accumulate(sums, totals)
    result.append(list(totals[:12]))
print(json.dumps(result))
