"""Values between others by assembly and in viper: ends, rails, places past the end, none at all."""

from array import array
from dsp import warp, warp_thumb

seed = 7
block = array("h", bytes(2 * 2048))
for i in range(2048):
    seed = (seed * 1103 + 12345) & 0xFFFFF
    block[i] = (seed >> 4) - 32768
block[100], block[101] = -32768, 32767
answers = []
# first, end, place, step, samples
for form in (
    (0, 300, 0, 32768, 2048),
    (7, 1000, 12345, 40000, 2048),
    (0, 2048, 5, 32767, 2048),
    (0, 9, 1 << 25, 0, 9),
    (5, 5, 0, 32768, 2048),
):
    outs = []
    for each in (warp.warp, warp_thumb.warp):
        out = array("h", bytes(2 * 2048))
        for i in range(2048):
            out[i] = 1234 + (i & 1)
        each(block, out, array("i", form))
        outs.append(bytes(out))
    untouched = sum(out[i] == 1234 + (i & 1) for i in range(2048) if not form[0] <= i < form[1])
    answers.append((outs[0] == outs[1], form[1] - form[0] if untouched == 2048 - form[1] + form[0] else -1))
print(answers)
