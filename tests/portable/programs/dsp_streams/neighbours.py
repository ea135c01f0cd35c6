"""The powers of a line and its neighbours."""

import json
from array import array

from dsp import streams
from dsp.fft import SIGN32

spectrum = array("i", argument[0])
form = array("i", [SIGN32] + [0] * 4)
result = []
for k, far in argument[1]:
    streams.neighbours(spectrum, k, far, form)
    result.append(list(form)[1:])
print(json.dumps(result))
