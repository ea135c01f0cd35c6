"""The strongest peaks of each spectrum."""

import json
from array import array

from dsp import kernels, sums
from dsp.fft import SIGN32

best = array("i", bytes(64))
result = []
for spectrum in argument:
    bins = len(spectrum) // 2
    words = array("i", spectrum)
    form = array("i", (SIGN32, 0))
    form[1] = sums.span(words, 1, bins, form) + 1
    kernels.strongest(words, bins, form, best)
    result.append([[best[i], best[8 + i]] for i in range(8) if best[i]])
print(json.dumps(result))
