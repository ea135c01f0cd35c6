"""The spectrum of each block, and its checksum."""

import json
from array import array

from dsp import kernels
from dsp.fft import RFFT

result = []
for block in argument:
    n = len(block)
    out = array("i", bytes(4 * n))
    exponent = RFFT(n).run(array("h", block), out)
    result.append([exponent, list(out), kernels.checksum(out, n)])
print(json.dumps(result))
