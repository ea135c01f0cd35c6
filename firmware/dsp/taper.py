"""The Hann window over samples about their mean, in viper; taper_thumb.py has it in the RP2040's own assembly.

The rules of kernels.py hold here.
"""

import micropython


@micropython.viper
def taper(samples: ptr16, out: ptr16, sine: ptr16, form: ptr32):
    """out[i] = ((samples[stride*i] - mean) * w + half) >> shift, w the Hann window in Q15 at `first` + `step`*i.

    form = count, mean, shift, half, stride, first, step; first and step are in 1/4096 of the window, count * step is
    4096, and first 0 or step / 2: the window is the same from both ends, and is worked out once for two samples.
    |sample - mean| < 2**16 - 2**4, as for windows.hann. out may be samples.
    """
    x = 0
    y = int(samples)
    zero = form[1] + 0x8000
    shift = form[2]
    half = form[3]
    stride = form[4] << 1
    a = form[5]
    step = form[6]
    low = int(out)
    high = low + (form[0] << 1) - 2
    top = y + stride * (form[0] - 1)
    if a == 0:  # the window's own first value, 0, has no partner
        ptr16(low)[0] = 0
        low += 2
        y += stride
        a = step
    while low <= high:
        if a > 1024:
            w = 0x8000 - ((0x10002 - sine[a - 1024]) >> 2)
        else:
            w = (0x10002 - sine[1024 - a]) >> 2
        x = ptr16(top)[0] ^ 0x8000
        x -= zero
        x = (x * w + half) >> shift
        if low < high:
            ptr16(high)[0] = x
        x = ptr16(y)[0] ^ 0x8000
        x -= zero
        ptr16(low)[0] = (x * w + half) >> shift
        low += 2
        high -= 2
        y += stride
        top -= stride
        a += step
