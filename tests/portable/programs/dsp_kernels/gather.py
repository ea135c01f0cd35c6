"""Samples are gathered out of 7-byte words."""

import json
from array import array

from dsp.unpack import gather

out = array("h", bytes(2 * 520))
end = gather(bytes(argument), 512, 7, 5, out, 4)
print(json.dumps([end, list(out)]))
