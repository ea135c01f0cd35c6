"""Sums over a spectrum and the envelope, in viper; sums_thumb.py has them in the RP2040's own assembly.

The rules of kernels.py hold here.
"""

import micropython


@micropython.viper
def span(spectrum: ptr32, first: int, last: int, form: ptr32) -> int:
    """Places by which the parts of bins first ... last - 1 must be shifted right to fit 15 bits and a sign.

    form[0] = sign32.
    """
    x = 0
    m = 0
    p = ptr32(int(spectrum) + (first << 3))
    end = int(spectrum) + (last << 3)
    while int(p) < end:
        x = p[0]
        m |= x ^ (x << 1)
        x = p[1]
        m |= x ^ (x << 1)
        p = ptr32(int(p) + 8)
    m &= 0x3FFFFFFF
    x = 0
    while m > 0xFFFF:
        m >>= 1
        x += 1
    return x


@micropython.viper
def energy(spectrum: ptr32, first: int, last: int, form: ptr32):
    """The sum of the powers of bins first ... last - 1 (2,048 at most) as form[2] + form[3] * 2**15.

    form = sign32, places by which the parts are shifted right first, so that they fit 15 bits and a sign.
    """
    x = 0
    y = 0
    sign = form[0]
    shift = sign + form[1]
    lower = 0
    upper = 0
    p = ptr32(int(spectrum) + (first << 3))
    end = int(spectrum) + (last << 3)
    while int(p) < end:
        x = (p[0] << sign) >> shift
        y = (p[1] << sign) >> shift
        x *= x
        lower += x & 0x7FFF
        upper += x >> 15
        y *= y
        lower += y & 0x7FFF
        upper += y >> 15
        p = ptr32(int(p) + 8)
    form[2] = lower
    form[3] = upper


@micropython.viper
def limit(values: ptr16, count: int, most: int) -> int:
    """Hold values, none of them negative, to `most`, at most 0x7FFF; returns their sum."""
    x = 0
    y = 0
    k = 0
    while k < count:
        x = values[k]
        if x > most:
            x = most
            values[k] = x
        y += x
        k += 1
    return y
