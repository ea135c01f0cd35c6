"""Places to shift and energy by assembly and in viper, over words of several lengths and signs, and over none."""

from array import array
from dsp import sums, sums_thumb

seed = 7
answers = []
for bits, first, last in ((29, 1, 256), (16, 0, 200), (15, 3, 200), (4, 0, 9), (29, 7, 7)):
    words = array("i", bytes(4 * 512))
    for i in range(512):
        seed = (seed * 1103 + 12345) & 0xFFFFF
        words[i] = (seed << 9 >> 29 - bits) - (1 << bits - 1)
    told = []
    for each in (sums, sums_thumb):
        form = array("i", (0, 0, -1, -1))
        form[1] = each.span(words, first, last, form)
        each.energy(words, first, last, form)
        values = array("H", (word & 0x7FFF for word in words))
        told.append((tuple(form), each.limit(values, last - first, 1 << bits // 2), bytes(values)))
    form, total, _ = told[0]
    answers.append((told[0] == told[1], form[1], form[2] + (form[3] << 15) > 0, total > 0))
print(answers)
