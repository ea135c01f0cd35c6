"""The first steps of the transform, in viper: how far its samples can go left, and the pass that gathers them.

fft.py has the plan, passes.py the passes that follow, kernels.py the rules that the code obeys.
"""

import micropython


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
