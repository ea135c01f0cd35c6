"""A window over each block."""

import json
from array import array

from dsp import tables, windows

window, cases = argument
result = []
for block, mean, left in cases:
    n = len(block)
    out = array("h", bytes(2 * n))
    form = array("i", (n, mean, 15 - left, 1 << (14 - left), 4096 // n))
    getattr(windows, window)(array("h", block), out, tables.SINE, form)
    result.append(list(out))
print(json.dumps(result))
