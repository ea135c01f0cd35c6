"""Every kind of tapered samples."""

import json
from array import array

from dsp import kernels, tables
from dsp.taper import taper

result = []
for block, count, stride, first, step, mean, left in argument:
    samples = array("h", block)
    out = array("h", bytes(2 * count))
    form = array("i", (count, mean, 15 - left, 1 << (14 - left), stride, first, step))
    source = kernels.address(samples) + 2 * (1 if stride == 2 and first else 0)
    taper(source, out, tables.SINE, form)
    result.append(list(out))
print(json.dumps(result))
