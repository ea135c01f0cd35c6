"""The median and the highest of each list."""

import json
from array import array

from dsp import streams

result = []
for values in argument:
    words = array("i", [9] + values + [1 << 29])
    result.append([streams.median(words, 1, len(values) + 1), streams.highest(words, 1, len(values) + 1) - 1])
print(json.dumps(result))
