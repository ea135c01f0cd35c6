"""The passes of the transform, in viper. fft.py has the plan, kernels.py the rules that the code follows.

Every pass takes the address of its data as the argument x, and has y for its second register; a butterfly loads a
pair into x and y, multiplies, and leaves results on the stack until they are summed.
"""

import micropython
from micropython import const

COSINE_BIAS = const(8192)  # of cos 2a in the tables, because a 16-bit load never carries a sign


@micropython.viper
def headroom(x: int, y: int, words: int) -> int:
    """How many places all int16 values at address x (words = pairs, a multiple of 8) can go left, 0 ... 14. y = 0."""
    p = ptr32(x)
    end = x + (words << 2)
    while int(p) < end:
        # v ^ 2v has its highest one where v's run of sign bits ends
        x = p[0]
        y |= (x + x) ^ x
        x = p[1]
        y |= (x + x) ^ x
        x = p[2]
        y |= (x + x) ^ x
        x = p[3]
        y |= (x + x) ^ x
        x = p[4]
        y |= (x + x) ^ x
        x = p[5]
        y |= (x + x) ^ x
        x = p[6]
        y |= (x + x) ^ x
        x = p[7]
        y |= (x + x) ^ x
        p = ptr32(int(p) + 32)
    m = y
    m |= m >> 16  # bit 16 also saw the lower neighbour's sign, but it folds onto bit 0, below the answer
    k = 0
    while k < 14 and not (m & 0x8000):
        m <<= 1
        k += 1
    return k


@micropython.viper
def leaves4(x: int, y: int, starts: ptr16, form: ptr32):
    """First pass, transforms of length 4: gather int16 pairs from address x, write int32 pairs at address y.

    form = sign16, sign16 - left shift, bytes between a leaf's inputs, bytes of output.
    starts: for each leaf the byte offsets of its input 0 and its input 1, and what to add to the real and to the
    imaginary part of input 0 (see fft.py).
    """
    base = x
    q = ptr32(y)
    sign = form[0]
    shift = form[1]
    apart = form[2]
    twice = apart << 1
    end = y + form[3]
    while int(q) < end:
        y = base
        y += starts[0]
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        x += starts[2]
        y += starts[3]
        br = x
        bi = y
        y = base
        y += starts[1]
        first = y
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        cr = x
        ci = y
        y = first
        y += apart
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        ar = br + x
        br -= x
        ai = bi + y
        bi -= y
        y = first
        y += twice
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        dr = cr - x
        x += cr
        di = ci - y
        y += ci
        q[0] = ar + x
        q[1] = ai + y
        q[4] = ar - x
        q[5] = ai - y
        x = br
        y = di
        q[2] = x + y
        q[6] = x - y
        x = bi
        y = dr
        q[3] = x - y
        q[7] = x + y
        q = ptr32(int(q) + 32)
        starts = ptr16(int(starts) + 8)


@micropython.viper
def leaves8(x: int, y: int, starts: ptr16, form: ptr32):
    """First pass, transforms of length 8; arguments as in `leaves4`. 5793 = sqrt(1/2) in Q13."""
    base = x
    q = ptr32(y)
    sign = form[0]
    shift = form[1]
    apart = form[2]
    root = 5793
    end = y + form[3]
    two = 2 * apart
    three = 3 * apart
    four = 4 * apart
    five = 5 * apart
    six = 6 * apart
    while int(q) < end:
        # inputs 0 and 4, then 2 and 6: the even half e0...e3
        y = base
        y += starts[0]
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        x += starts[2]
        y += starts[3]
        ar = x
        ai = y
        y = base
        y += starts[1]
        first = y
        y += apart
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        cr = x
        ci = y
        y = first
        y += three
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        br = ar - x
        ar += x
        bi = ai - y
        ai += y
        y = first
        y += five
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        dr = cr - x
        x += cr
        di = ci - y
        y += ci
        e2r = ar - x
        e0r = x + ar
        e2i = ai - y
        e0i = y + ai
        x = di
        e1r = x + br
        e3r = br - x
        x = dr
        e1i = bi - x
        e3i = x + bi
        # inputs 1 and 5, then 3 and 7: the odd half
        y = first
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        ar = x
        ai = y
        y = first
        y += four
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        br = ar - x
        ar += x
        bi = ai - y
        ai += y
        y = first
        y += two
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        cr = x
        ci = y
        y = first
        y += six
        x = ptr16(y)[0]
        x <<= sign
        x >>= shift
        y = ptr16(y)[1]
        y <<= sign
        y >>= shift
        dr = cr - x
        x += cr
        di = ci - y
        y += ci
        # o0 = a + c and o2 = a - c, which turns by -j
        cr = ar - x
        x += ar
        ci = ai - y
        y += ai
        q[1] = e0i + y
        q[9] = e0i - y
        y = e0r
        q[0] = y + x
        q[8] = y - x
        x = ci
        y = e2r
        q[4] = y + x
        q[12] = y - x
        x = cr
        y = e2i
        q[5] = y - x
        q[13] = y + x
        # o1 = b - jd and o3 = b + jd, which turn by -45 and -135 degrees
        x = br
        x += di
        y = bi
        y -= dr
        ar = x + y
        ai = y - x
        x = br
        x -= di
        y = bi
        y += dr
        br = y - x
        bi = x + y
        x = root
        y = (x * ar) >> 13
        q[2] = e1r + y
        q[10] = e1r - y
        y = (x * ai) >> 13
        q[3] = e1i + y
        q[11] = e1i - y
        y = (x * br) >> 13
        q[6] = e3r + y
        q[14] = e3r - y
        y = (x * bi) >> 13
        q[7] = e3i - y
        q[15] = e3i + y
        q = ptr32(int(q) + 64)
        starts = ptr16(int(starts) + 8)


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
    while int(p) < int(q):
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
        c = twiddles[0]
        s = twiddles[1]
        di = (y * c - x * s) >> back
        x = (x * c + y * s) >> back
        y = er
        p[0] = y + x
        q[0] = y - x
        x = di
        y = ei
        p[1] = x + y
        q[1] = x - y
        p = ptr32(int(p) + 8)
        q = ptr32(int(q) - 8)
        twiddles = ptr16(int(twiddles) + 4)
    # the middle bin is its own partner: twice the conjugate
    x = p[0]
    p[0] = x << 1
    x = p[1] - form[5]
    p[1] = 0 - (x << 1)
