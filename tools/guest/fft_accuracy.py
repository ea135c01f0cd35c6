"""Transforms the blocks of stdin, a JSON list a line."""

import json
import sys
from array import array

from dsp.fft import RFFT

for line in sys.stdin:
    block = array("h", json.loads(line))
    out = array("i", bytes(4 * len(block)))
    print(json.dumps([RFFT(len(block)).run(block, out), list(out)]))
