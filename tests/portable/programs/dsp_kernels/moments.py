"""The sums over each block."""

import json
from array import array

from dsp import kernels

sums = array("i", bytes(48))
result = []
for block in argument:
    kernels.moments(array("h", block), len(block), sums)
    result.append(list(sums))
print(json.dumps(result))
