"""The window by assembly and in viper, over blocks of several shapes."""

from array import array
from dsp import kernels, tables, taper, taper_thumb

seed = 7
block = array("h", bytes(2 * 4096))
for i in range(4096):
    seed = (seed * 1103 + 12345) & 0xFFFFF
    block[i] = (seed >> 4) - 32768
answers = []
# count, stride, first, step, mean, left: whole and brief measurements, even and odd samples, in place
for count, stride, first, step, mean, left in (
    (2048, 1, 0, 2, 0, 0),
    (2048, 2, 0, 2, -7, -1),
    (2048, 2, 1, 2, 9, -1),
    (64, 1, 0, 64, 300, 0),
    (256, 2, 8, 16, 0, 0),
):
    form = array("i", (count, mean, 15 - left, 1 << (14 - left), stride, first, step))
    outs = []
    for each in (taper.taper, taper_thumb.taper):
        out = array("h", bytes(2 * count + 4))
        source = kernels.address(block) + (2 if first else 0)
        if stride == 1:
            out[:count] = block[:count]
            source = kernels.address(out)
        each(source, out, tables.SINE, form)
        outs.append(bytes(out))
    answers.append((outs[0] == outs[1], max(out), min(out)))
print(answers)
