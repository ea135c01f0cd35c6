"""Each list, limited, and its sum."""

import json
from array import array

from dsp import sums

result = []
for most, values in argument:
    words = array("H", values + [7])
    total = sums.limit(words, len(values), most)
    result.append([list(words), total])
print(json.dumps(result))
