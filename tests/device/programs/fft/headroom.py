"""The headroom of each value, first and last in a block."""

from array import array
from dsp import leaves_thumb
from dsp.kernels import address

held = array("h", bytes(128))
answers = []
for value in values:
    for at in (0, 63):
        held[at] = value
        answers.append(leaves_thumb.headroom(address(held), 0, 32))
        held[at] = 0
print(answers)
