"""Sizes and buffers that the transform refuses."""

import json
from array import array

from dsp.fft import RFFT

answers = []
for n in (0, 32, 63, 100, 8192):
    try:
        RFFT(n)
    except ValueError as error:
        answers.append(str(error))
src, out = array("h", bytes(2 * 70)), array("i", bytes(4 * 64))
for case in ((memoryview(src)[:63], out), (src, memoryview(out)[:63]), (memoryview(src)[1:65], out)):
    try:
        RFFT(64).run(*case)
    except ValueError as error:
        answers.append(str(error))
print(json.dumps(answers))
