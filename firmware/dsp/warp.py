"""Values between evenly taken ones, in viper; warp_thumb.py has it in the RP2040's own assembly.

The rules of kernels.py hold here.
"""

import micropython


@micropython.viper
def warp(samples: ptr16, out: ptr16, form: ptr32):
    """out[form[0]] ... out[form[1] - 1] from the samples at form[2], form[2] + form[3] ..., places in Q15 from 0 on.

    Between two samples lies a straight line; form[4]: samples that there are, 4,096 at most. Past the end: the last.
    """
    x = 0
    y = 0
    k = form[0]
    end = form[1]
    place = form[2]
    step = form[3]
    last = form[4] - 2
    while k < end:
        i = place >> 15
        part = (place >> 2) & 0x1FFF
        if i > last:
            i = last
            part = 0x1FFF
        x = (samples[i] ^ 0x8000) - 0x8000
        y = (samples[i + 1] ^ 0x8000) - 0x8000
        y -= x
        out[k] = x + ((y * part) >> 13)
        place += step
        k += 1
