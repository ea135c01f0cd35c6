"""The headroom of each block."""

import json
from array import array

from dsp import passes
from dsp.kernels import address

result = []
for block in argument:
    held = array("h", block)
    result.append(passes.headroom(address(held), 0, 32))
print(json.dumps(result))
