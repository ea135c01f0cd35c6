"""The inner loops of the signal path, in viper; the transform's are in leaves.py and passes.py.

The same source gives the same bits on a 32-bit chip and on the 64-bit host, by three rules:

- A 16-bit load never carries a sign; a sample becomes signed by `(v ^ 0x8000) - 0x8000`, or by a left shift of
  `sign16` before the right shift that it needs anyway.
- A 32-bit load carries a sign on a 32-bit machine alone. Sums and differences that are stored again need none;
  where the value is shifted right it first goes left by `sign32`, which is 0 on 32 bits and 32 on 64.
- Every value fits int32 (the bounds stand at the kernels), for a 64-bit host would hide an overflow.

Twiddles are stored so that none is negative, for the same reason. Locals: the compiler keeps the first two, the
arguments first, in registers, and the rest on the stack; so `x` and `y` are the left operands where time counts.

Addresses go in as plain integers (`address`), because an int argument can become a register local. The caller
holds the buffers and has checked lengths and alignment: nothing is checked here.
"""

import micropython


@micropython.viper
def address(buffer: ptr8) -> int:
    """Where the buffer's first byte is. Valid while the caller holds the buffer; nothing moves on this heap."""
    return int(buffer)


@micropython.viper
def gather(raw: ptr8, count: int, stride: int, offset: int, high: int, out: ptr16, at: int) -> int:
    """Pick a 16-bit value of each `stride`-byte word into out[at...]: low byte at `offset`, high one `high` further."""
    x = int(raw) + offset
    y = int(out) + (at << 1)
    end = y + (count << 1)
    while y < end:
        source = ptr8(x)
        target = ptr16(y)
        target[0] = source[0] | (source[high] << 8)
        x += stride
        y += 2
    return at + count


@micropython.viper
def moments(samples: ptr16, count: int, sums: ptr32):
    """Fill sums[0:11] for the exact power sums of up to 8,192 int16 samples.

    With x up to 2**15, x**4 needs 60 bits and a sum 73. So each product is cut at 15 bits and the pieces of one
    weight are summed together; a piece is below 2**17, a sum of 8,192 below 2**31 - no carry, no 64-bit add:

        sum x    = sums[0]
        sum x**2 = sums[1] + (sums[2] << 15)
        sum x**3 = sums[3] + (sums[4] << 15) + (sums[5] << 30)
        sum x**4 = sums[6] + (sums[7] << 15) + (sums[8] << 30) + (sums[9] << 45)

    sums[10] = minimum, sums[11] = maximum.
    """
    x = 0
    q = 0
    mask = 0x7FFF
    one = 0
    two0 = 0
    two1 = 0
    three0 = 0
    three1 = 0
    three2 = 0
    four0 = 0
    four1 = 0
    four2 = 0
    four3 = 0
    low = 0x7FFF
    high = -0x8000
    end = int(samples) + (count << 1)
    while int(samples) < end:
        x = (samples[0] ^ 0x8000) - 0x8000
        if x < low:
            low = x
        if x > high:
            high = x
        one += x
        q = x * x  # up to 2**30
        lower = q & mask
        q >>= 15  # up to 2**15
        two0 += lower
        two1 += q
        # x**3 = q*x << 15  +  lower*x, both within +-2**30; >> and & agree on negative values
        product = lower * x
        three0 += product & mask
        three1 += product >> 15
        x *= q
        three1 += x & mask
        three2 += x >> 15
        # x**4 = q*q << 30  +  2*q*lower << 15  +  lower*lower; q = 2**15 only where lower = 0
        x = q * lower
        x += x
        four1 += x & mask
        four2 += x >> 15
        q *= q
        four2 += q & mask
        four3 += q >> 15
        lower *= lower
        four0 += lower & mask
        four1 += lower >> 15
        samples = ptr16(int(samples) + 2)
    sums[0] = one
    sums[1] = two0
    sums[2] = two1
    sums[3] = three0
    sums[4] = three1
    sums[5] = three2
    sums[6] = four0
    sums[7] = four1
    sums[8] = four2
    sums[9] = four3
    sums[10] = low
    sums[11] = high


@micropython.viper
def strongest(spectrum: ptr32, bins: int, form: ptr32, best: ptr32):
    """Find the local maxima of the power spectrum; keep the eight strongest, strongest first.

    spectrum: int32 pairs of bins 0 ... bins - 1. best[0:8] = power, best[8:16] = bin; power 0 where there is none.
    form = sign32, places by which all parts are shifted right, so that they fit 14 bits and a sign: powers order, no
    more. A power of 16 and less, 72 dB below the largest there can be, is the transform's own noise. Bins 0 and 1 are
    left out: the window spreads what is left of the mean over both.
    """
    x = 0
    y = 0
    sign = form[0]
    shift = sign + form[1]
    k = 0
    while k < 16:
        best[k] = 0
        k += 1
    before = 0
    here = 0
    k = 1
    p = ptr32(int(spectrum) + 8)
    while k < bins:
        x = p[0]
        x <<= sign
        x >>= shift
        y = p[1]
        y <<= sign
        y >>= shift
        y *= y
        x *= x
        x += y  # the power of bin k; `here` is of k - 1, `before` of k - 2
        if here > best[7]:
            if here > before:
                if here >= x:
                    if k > 2 and here > 16:
                        j = 7
                        while j > 0 and best[j - 1] < here:
                            best[j] = best[j - 1]
                            best[j + 8] = best[j + 7]
                            j -= 1
                        best[j] = here
                        best[j + 8] = k - 1
        before = here
        here = x
        p = ptr32(int(p) + 8)
        k += 1


@micropython.viper
def checksum(words: ptr32, count: int) -> int:
    """A 30-bit checksum of 32-bit words, equal on every word size: c = 31*c + w, modulo 2**30."""
    x = 0
    end = int(words) + (count << 2)
    while int(words) < end:
        x = ((x << 5) - x + words[0]) & 0x3FFFFFFF
        words = ptr32(int(words) + 4)
    return x
