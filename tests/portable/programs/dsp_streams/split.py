"""Each block as band and envelope, with the state of the filters."""

import json
from array import array

from dsp import kernels, streams
from dsp.fft import SIGN32
from dsp.measurement import _second_order

result = []
for block, r, low, high, size in argument:
    state = array("i", bytes(4 * 39))
    places = {1: 0, 2: 1, 4: 2, 8: 3}[r]
    state[0], state[1], state[2], state[3], state[8] = size, SIGN32, 4 * places, 3 * places + 3, r
    high_pass, low_pass = _second_order(low, 1), _second_order(high, -1)
    state[4], state[5], state[6] = high_pass
    state[7], state[9], state[10] = low_pass
    state[11] = state[12] = block[0]
    samples = array("h", block)
    band, envelope = array("h", bytes(2 * len(block) // r)), array("h", bytes(len(block) // r))
    for at in range(0, len(block), size):
        streams.split(kernels.address(samples) + 2 * at, kernels.address(band), envelope, state)
    result.append([list(band), list(envelope), high_pass, low_pass, list(state[35:])])
print(json.dumps(result))
