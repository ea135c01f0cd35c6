"""Windows over a block of samples, in viper: Hann for lines that lie close, flat top for amplitudes that must be right.

The rules of kernels.py hold here. A measurement has the Hann window built into taper.taper.
"""

import micropython


@micropython.viper
def hann(samples: ptr16, out: ptr16, sine: ptr16, form: ptr32):
    """out[i] = ((samples[i] - mean) * w[i] + half) >> shift, w the periodic Hann window in Q15.

    form = n, mean, shift, half, step: n a multiple of 4; `step` table entries make 1/n of a turn. The quarter sine
    serves four samples an entry: w is 1/2 -+ cos/2 at i and n-i, n/2-i and n/2+i. Each is read and written once, so
    out may be samples.
    |sample - mean| < 2**16 - 2**4 (a mean of 256 values and more cannot be at a rail), so the sum stays below 2**31.
    """
    x = 0
    y = 0
    n = form[0]
    zero = form[1] + 0x8000  # taken from a sample in offset binary, leaves sample - mean
    shift = form[2]
    half = form[3]
    step = form[4]
    middle = n >> 1
    quarter = n >> 2
    i = 0
    entry = ptr16(int(sine) + ((quarter * step) << 1))  # cos falls from 1 while the table is read backwards
    step <<= 1
    while i <= quarter:
        w = (0x10002 - entry[0]) >> 2
        y = i
        x = samples[y] ^ 0x8000
        x -= zero
        out[y] = (x * w + half) >> shift
        if i:
            y = n - i
            x = samples[y] ^ 0x8000
            x -= zero
            out[y] = (x * w + half) >> shift
        if i < quarter:
            w = 0x8000 - w
            y = middle - i
            x = samples[y] ^ 0x8000
            x -= zero
            out[y] = (x * w + half) >> shift
            if i:
                y = middle + i
                x = samples[y] ^ 0x8000
                x -= zero
                out[y] = (x * w + half) >> shift
        entry = ptr16(int(entry) - step)
        i += 1


@micropython.viper
def flat_top(samples: ptr16, out: ptr16, sine: ptr16, form: ptr32):
    """As `hann`, under the periodic flat-top window of ISO 18431-2 (D'Antona and Ferrero's five cosines), in Q15.

    It reads a line's amplitude to 0.1 % wherever between two bins the line is, where Hann needs its neighbours.

    w = sum(+-a[k] * cos(k*t)), a = 0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368. As a polynomial of
    c = cos t, its even powers are the same at i and n/2-i, and its odd ones change sign: w = even -+ odd, with
    even = a0 - a2 + a4 + (2*a2 - 8*a4) * c**2 + 8*a4 * c**4 and odd = (a1 - 3*a3) * c + 4*a3 * c**3. The weights
    below are those in Q15; together they make 0 at the edge, to 0.0004, and 1 in the middle.
    """
    x = 0
    y = 0
    n = form[0]
    zero = form[1] + 0x8000  # as in `hann`
    shift = form[2]
    half = form[3]
    step = form[4]
    middle = n >> 1
    quarter = n >> 2
    i = 0
    entry = ptr16(int(sine) + ((quarter * step) << 1))
    step <<= 1
    while i <= quarter:
        x = (entry[0] + 1) >> 1  # c rounded up: the table's last bit only says that there was more
        y = (x * x + 0x4000) >> 15
        odd = (x * (5436 + ((10955 * y + 0x4000) >> 15)) + 0x4000) >> 15
        even = ((y * (16350 + ((1821 * y + 0x4000) >> 15)) + 0x4000) >> 15) - 1794
        w = even - odd
        y = i
        x = samples[y] ^ 0x8000
        x -= zero
        out[y] = (x * w + half) >> shift
        if i:
            y = n - i
            x = samples[y] ^ 0x8000
            x -= zero
            out[y] = (x * w + half) >> shift
        if i < quarter:
            w = even + odd
            y = middle - i
            x = samples[y] ^ 0x8000
            x -= zero
            out[y] = (x * w + half) >> shift
            if i:
                y = middle + i
                x = samples[y] ^ 0x8000
                x -= zero
                out[y] = (x * w + half) >> shift
        entry = ptr16(int(entry) - step)
        i += 1
