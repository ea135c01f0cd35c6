"""The passes of the transform, in viper. fft.py has the plan, kernels.py the rules, leaves.py the first pass.

Every pass takes the address of its data as the argument x, and has y for its second register; a butterfly loads a
pair into x and y, multiplies, and leaves results on the stack until they are summed.
"""

import micropython
from micropython import const

from .leaves import headroom, leaves4, leaves8  # noqa: F401  (fft.py takes a whole set of passes from here)

COSINE_BIAS = const(8192)  # of cos 2a in the tables, because a 16-bit load never carries a sign


@micropython.viper
def radix4(x: int, y: int, form: ptr32, tw: ptr16):
    """The conjugate-pair radix-4 passes, in place, over the int32 pairs at address x.

    form = sign32, bytes of all; then for each pass sign32 + s, 13 - s, bytes of a quarter, and last of all three zeros.
    tw: for each pass cos a, sin a, sin 2a, cos 2a + 1 in Q13 for each of a quarter's angles a.

    The quarters hold transforms of the samples 4m, 4m+2, 4m+1 and 4m-1. The last two turn by -a and +a (one pair of
    constants for both), the second by -2a. Bound: a quarter's pairs are shorter than 2**17.5 once they are shifted
    right by s, a twiddle is at most 2**13 + 1 long, so a product's parts stay below 2**30.6.
    """
    sign = form[0]
    begin = x
    end = x + form[1]
    twiddles = int(tw)
    while form[4]:
        shift = form[2]
        back = form[3]
        quarter = form[4]
        pa = ptr32(begin)
        while int(pa) < end:
            pb = ptr32(int(pa) + quarter)
            pc = ptr32(int(pb) + quarter)
            pd = ptr32(int(pc) + quarter)
            tw = ptr16(twiddles)
            stop = int(pb)
            while int(pa) < stop:  # four butterflies a turn, each the same lines; a quarter is a multiple of four
                x = pb[0]
                y = pb[1]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[3] - 8192
                br = (x * c + y * tw[2]) >> back
                bi = (y * c - x * tw[2]) >> back
                x = pc[0]
                y = pc[1]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[0]
                s = tw[1]
                cr = (x * c + y * s) >> back
                ci = (y * c - x * s) >> back
                x = pd[0]
                y = pd[1]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                di = (y * c + x * s) >> back
                x = (x * c - y * s) >> back
                y = cr + x
                cr -= x
                x = pa[0]
                ar = x - br
                x += br
                pa[0] = x + y
                pc[0] = x - y
                x = ar
                y = ci
                y -= di
                pb[0] = x + y
                pd[0] = x - y
                y = ci
                y += di
                x = pa[1]
                ar = x - bi
                x += bi
                pa[1] = x + y
                pc[1] = x - y
                x = ar
                y = cr
                pb[1] = x - y
                pd[1] = x + y

                x = pb[2]
                y = pb[3]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[7] - 8192
                br = (x * c + y * tw[6]) >> back
                bi = (y * c - x * tw[6]) >> back
                x = pc[2]
                y = pc[3]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[4]
                s = tw[5]
                cr = (x * c + y * s) >> back
                ci = (y * c - x * s) >> back
                x = pd[2]
                y = pd[3]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                di = (y * c + x * s) >> back
                x = (x * c - y * s) >> back
                y = cr + x
                cr -= x
                x = pa[2]
                ar = x - br
                x += br
                pa[2] = x + y
                pc[2] = x - y
                x = ar
                y = ci
                y -= di
                pb[2] = x + y
                pd[2] = x - y
                y = ci
                y += di
                x = pa[3]
                ar = x - bi
                x += bi
                pa[3] = x + y
                pc[3] = x - y
                x = ar
                y = cr
                pb[3] = x - y
                pd[3] = x + y

                x = pb[4]
                y = pb[5]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[11] - 8192
                br = (x * c + y * tw[10]) >> back
                bi = (y * c - x * tw[10]) >> back
                x = pc[4]
                y = pc[5]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[8]
                s = tw[9]
                cr = (x * c + y * s) >> back
                ci = (y * c - x * s) >> back
                x = pd[4]
                y = pd[5]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                di = (y * c + x * s) >> back
                x = (x * c - y * s) >> back
                y = cr + x
                cr -= x
                x = pa[4]
                ar = x - br
                x += br
                pa[4] = x + y
                pc[4] = x - y
                x = ar
                y = ci
                y -= di
                pb[4] = x + y
                pd[4] = x - y
                y = ci
                y += di
                x = pa[5]
                ar = x - bi
                x += bi
                pa[5] = x + y
                pc[5] = x - y
                x = ar
                y = cr
                pb[5] = x - y
                pd[5] = x + y

                x = pb[6]
                y = pb[7]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[15] - 8192
                br = (x * c + y * tw[14]) >> back
                bi = (y * c - x * tw[14]) >> back
                x = pc[6]
                y = pc[7]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                c = tw[12]
                s = tw[13]
                cr = (x * c + y * s) >> back
                ci = (y * c - x * s) >> back
                x = pd[6]
                y = pd[7]
                if sign:
                    x <<= sign
                    y <<= sign
                x >>= shift
                y >>= shift
                di = (y * c + x * s) >> back
                x = (x * c - y * s) >> back
                y = cr + x
                cr -= x
                x = pa[6]
                ar = x - br
                x += br
                pa[6] = x + y
                pc[6] = x - y
                x = ar
                y = ci
                y -= di
                pb[6] = x + y
                pd[6] = x - y
                y = ci
                y += di
                x = pa[7]
                ar = x - bi
                x += bi
                pa[7] = x + y
                pc[7] = x - y
                x = ar
                y = cr
                pb[7] = x - y
                pd[7] = x + y

                pa = ptr32(int(pa) + 32)
                pb = ptr32(int(pb) + 32)
                pc = ptr32(int(pc) + 32)
                pd = ptr32(int(pd) + 32)
                tw = ptr16(int(tw) + 32)
            pa = ptr32(int(pd))
        twiddles = int(tw)
        form = ptr32(int(form) + 12)


@micropython.viper
def split(x: int, y: int, form: ptr32, twiddles: ptr16):
    """From the transform of n/2 complex pairs at address x, in place, to twice the spectrum of n real samples.

    form = sign32, sign32 + s, 13 - s, bytes of all, half of the place that s leaves last, and half of that: it came
    with every imaginary part, falls out of their differences, and makes the whole rounding of their sums.
    twiddles: cos a, sin a in Q13 for a = 2*pi*k/n, k = 1 ... n/4 - 1.
    """
    sign = form[0]
    shift = form[1]
    back = form[2]
    rounding = form[4]
    p = ptr32(x)
    q = ptr32(x + form[3] - 8)
    x = p[0]
    y = p[1] - form[5]
    p[0] = (x + y) << 1
    p[1] = (x - y) << 1
    p = ptr32(int(p) + 8)
    # an odd number of pairs: one, and then two a turn
    x = p[1]
    y = q[1]
    ei = x - y
    x += y
    y = q[0]
    c = p[0]
    er = y + c
    y -= c
    y += rounding
    if sign:
        x <<= sign
        y <<= sign
    x >>= shift
    y >>= shift
    di = (y * twiddles[0] - x * twiddles[1]) >> back
    x = (x * twiddles[0] + y * twiddles[1]) >> back
    y = er
    p[0] = y + x
    q[0] = y - x
    x = di
    y = ei
    p[1] = x + y
    q[1] = x - y
    p = ptr32(int(p) + 8)
    q = ptr32(int(q) - 16)
    twiddles = ptr16(int(twiddles) + 4)
    while int(p) < int(q):
        x = p[1]
        y = q[3]
        ei = x - y
        x += y
        y = q[2]
        c = p[0]
        er = y + c
        y -= c
        y += rounding
        if sign:
            x <<= sign
            y <<= sign
        x >>= shift
        y >>= shift
        di = (y * twiddles[0] - x * twiddles[1]) >> back
        x = (x * twiddles[0] + y * twiddles[1]) >> back
        y = er
        p[0] = y + x
        q[2] = y - x
        x = di
        y = ei
        p[1] = x + y
        q[3] = x - y

        x = p[3]
        y = q[1]
        ei = x - y
        x += y
        y = q[0]
        c = p[2]
        er = y + c
        y -= c
        y += rounding
        if sign:
            x <<= sign
            y <<= sign
        x >>= shift
        y >>= shift
        di = (y * twiddles[2] - x * twiddles[3]) >> back
        x = (x * twiddles[2] + y * twiddles[3]) >> back
        y = er
        p[2] = y + x
        q[0] = y - x
        x = di
        y = ei
        p[3] = x + y
        q[1] = x - y
        p = ptr32(int(p) + 16)
        q = ptr32(int(q) - 16)
        twiddles = ptr16(int(twiddles) + 8)
    # the middle bin is its own partner: twice the conjugate
    x = p[0]
    p[0] = x << 1
    x = p[1] - form[5]
    p[1] = 0 - (x << 1)
