"""Samples are gathered out of 7-byte words, of either byte order."""

import json
from array import array

from dsp.unpack import gather

answers = []
for offset, high in ((5, 1), (6, -1)):
    out = array("h", bytes(2 * 520))
    answers.append([gather(bytes(argument), 512, 7, offset, high, out, 4), list(out)])
print(json.dumps(answers))
