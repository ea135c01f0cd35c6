"""Which lines stand above their neighbourhood."""

import json
from array import array

from dsp import streams

form = array("i", (0, 24, 300))
result = []
for values in argument:
    words = array("i", values)
    found = []
    k = 1
    while True:
        k = streams.standing(words, k + 1, 280, form)
        if k == 280:
            break
        found.append(k)
    result.append(found)
print(json.dumps(result))
