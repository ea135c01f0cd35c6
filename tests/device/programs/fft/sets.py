"""The transform of blocks by assembly and by the portable passes."""

import gc
from array import array
from dsp import fft, kernels, passes, passes_thumb


def both(n, blocks):
    used = []
    for fft.passes in (passes_thumb, passes):
        used.append(fft.RFFT(n))
    fft.passes = passes_thumb
    out = array("i", bytes(4 * n))
    answers = []
    for name, block in blocks:
        answers.append([name] + [(each.run(block, out), kernels.checksum(out, n)) for each in used])
    return answers
