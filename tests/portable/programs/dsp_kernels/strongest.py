"""The strongest peaks of each spectrum."""

import json
from array import array

from dsp import kernels
from dsp.fft import SIGN32

best = array("i", bytes(64))
result = []
for spectrum in argument:
    kernels.strongest(array("i", spectrum), len(spectrum) // 2, array("i", (SIGN32,)), best)
    result.append([[best[i], best[8 + i]] for i in range(8) if best[i]])
print(json.dumps(result))
