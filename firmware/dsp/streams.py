"""The inner loops of a measurement in viper: filters and decimators while it streams, the sums over its spectra after.

The rules of kernels.py hold here. One is stretched: the integrators of the decimators run round at 32 bits, which
is how such filters are meant to work (Hogenauer, IEEE ASSP 29(2), 1981): they are only added to and subtracted from,
and the difference that leaves them fits int32 and gets its sign there, by `sign32`.
"""

import micropython


@micropython.viper
def accumulate(sums: ptr32, totals: ptr32):
    """Add what kernels.moments left of a block to totals[0:12], which mean the same for all blocks so far.

    Each piece but the last of a sum carries what exceeds 15 bits into the next; the last grows by at most 2**15 a
    sample, so up to 32,767 samples at a rail fit. totals[12] = sign32. Begin with zeros, 0x7FFF in [10], -0x8000 in
    [11].
    """
    x = 0
    k = 0
    carry = 0
    sign = totals[12]
    while k < 10:
        x = totals[k] + sums[k] + carry
        x <<= sign
        x >>= sign
        carry = 0
        if k != 0 and k != 2 and k != 5 and k != 9:
            carry = x >> 15
            x &= 0x7FFF
        totals[k] = x
        k += 1
    x = ((sums[10] & 0xFFFF) ^ 0x8000) - 0x8000
    if x < ((totals[10] & 0xFFFF) ^ 0x8000) - 0x8000:
        totals[10] = x
    x = ((sums[11] & 0xFFFF) ^ 0x8000) - 0x8000
    if x > ((totals[11] & 0xFFFF) ^ 0x8000) - 0x8000:
        totals[11] = x


@micropython.viper
def split(x: int, y: int, envelope: ptr16, s: ptr32):
    """From s[0] samples at address x: the low band, at y, and the envelope, both decimated; both grow by int16 values.

    Envelope: a high-pass and a low-pass of second order, rectified, through a decimator of third order by 2*s[8].
    Low band: a decimator of fourth order by s[8]. s[0] is a multiple of 2*s[8], and s[8] at most 8, so that the
    decimators' words need 15 + 3*4 bits and 16 + 4*3 bits.

    s: 0 samples, 1 sign32, 2 places of the low band's output, 3 of the envelope's; high-pass 4 b, 5 -a1, 6 -a2 and
    low-pass 7 b, 9 -a1, 10 -a2, all in Q13; 8 the decimation; then the state, zeros before the first block: high-pass
    11-15, low-pass 16-18, integrators 19-25, combs 26-32; 33, 34: values of the low band and the envelope so far; the
    envelope's 35 sum and 36 largest value, and 37 + 38 * 2**15 the sum of its squares.

    What a filter gives is held to 16 bits. So, with b <= 1 (high-pass) and b <= 0.8 (low-pass, up to 0.45 of the
    rate), |a1| < 2 and a2 < 1, a sum is below 2**30 + 2**29 + 2**28. What a shift cuts off goes into the next sum.
    """
    samples = ptr16(x)
    low = ptr16(y + (s[33] << 1))
    env = ptr16(int(envelope) + (s[34] << 1))
    end = x + (s[0] << 1)
    sign = s[1]
    hb = s[4]
    h1 = (s[5] << sign) >> sign
    h2 = (s[6] << sign) >> sign
    lb = s[7]
    r = s[8]
    l1 = (s[9] << sign) >> sign
    l2 = (s[10] << sign) >> sign
    x1 = (s[11] << sign) >> sign
    x2 = (s[12] << sign) >> sign
    y1 = (s[13] << sign) >> sign
    y2 = (s[14] << sign) >> sign
    yr = s[15]
    z1 = (s[16] << sign) >> sign
    z2 = (s[17] << sign) >> sign
    zr = s[18]
    e1 = s[19]
    e2 = s[20]
    e3 = s[21]
    i1 = s[22]
    i2 = s[23]
    i3 = s[24]
    i4 = s[25]
    lows = s[2]
    lows_half = (1 << lows) >> 1
    envs = s[3]
    envs_half = (1 << envs) >> 1
    odd = 0
    while int(samples) < end:
        left = r
        while left > 0:
            x = (samples[0] ^ 0x8000) - 0x8000
            samples = ptr16(int(samples) + 2)
            i1 += x
            i2 += i1
            i3 += i2
            i4 += i3
            y = (x - x1 - x1 + x2) * hb + y1 * h1 + y2 * h2 + yr
            x2 = x1
            x1 = x
            yr = y & 0x1FFF
            y >>= 13
            if y > 0x7FFF:
                y = 0x7FFF
            if y < -0x7FFF:
                y = -0x7FFF
            x = (y + y1 + y1 + y2) * lb + z1 * l1 + z2 * l2 + zr
            y2 = y1
            y1 = y
            zr = x & 0x1FFF
            x >>= 13
            if x > 0x7FFF:
                x = 0x7FFF
            if x < -0x7FFF:
                x = -0x7FFF
            z2 = z1
            z1 = x
            if x < 0:
                x = 0 - x
            e1 += x
            e2 += e1
            e3 += e2
            left -= 1
        x = i4 - s[29]
        s[29] = i4
        y = x - s[30]
        s[30] = x
        x = y - s[31]
        s[31] = y
        y = x - s[32]
        s[32] = x
        y <<= sign
        y >>= sign
        y = (y + lows_half) >> lows
        if y > 0x7FFF:
            y = 0x7FFF
        low[0] = y
        low = ptr16(int(low) + 2)
        s[33] += 1
        if odd:
            x = e3 - s[26]
            s[26] = e3
            y = x - s[27]
            s[27] = x
            x = y - s[28]
            s[28] = y
            x <<= sign
            x >>= sign
            x = (x + envs_half) >> envs
            env[0] = x
            env = ptr16(int(env) + 2)
            s[34] += 1
            s[35] += x
            if x > s[36]:
                s[36] = x
            x *= x
            s[37] += x & 0x7FFF
            s[38] += x >> 15
        odd ^= 1
    s[11] = x1
    s[12] = x2
    s[13] = y1
    s[14] = y2
    s[15] = yr
    s[16] = z1
    s[17] = z2
    s[18] = zr
    s[19] = e1
    s[20] = e2
    s[21] = e3
    s[22] = i1
    s[23] = i2
    s[24] = i3
    s[25] = i4


@micropython.viper
def clear(out: ptr16, first: int, last: int):
    """Zero out[first] ... out[last - 1]."""
    x = first
    while x < last:
        out[x] = 0
        x += 1


@micropython.viper
def step(samples: ptr16, count: int) -> int:
    """The least by which neighbours that differ do so in samples[0] ... samples[count - 1]; 0xFFFF if none differ."""
    x = 0
    y = 0
    least = 0xFFFF
    before = samples[0] ^ 0x8000
    k = 1
    while k < count:
        x = samples[k] ^ 0x8000
        y = x - before
        before = x
        if y < 0:
            y = 0 - y
        if y != 0:
            if y < least:
                least = y
                if y == 1:
                    k = count
        k += 1
    return least


@micropython.viper
def neighbours(spectrum: ptr32, k: int, far: int, form: ptr32):
    """The powers of bins k - far, k and k + far to form[2], [3] and [4], each below 2**30.

    form = sign32; form[1] becomes the places by which the parts were shifted right, so that those of bin k fit 14 bits
    and a sign. Parts of its neighbours are held to 23,169, above it: then they are higher than bin k, and of another
    line. Bins below 1 and above 2,047 count as 0.
    """
    x = 0
    y = 0
    sign = form[0]
    p = ptr32(int(spectrum) + (k << 3))
    x = (p[0] << sign) >> sign
    if x < 0:
        x = 0 - x
    y = (p[1] << sign) >> sign
    if y < 0:
        y = 0 - y
    x |= y
    shift = 0
    while x > 0x3FFF:
        x >>= 1
        shift += 1
    form[1] = shift
    shift += sign
    i = 2
    k -= far
    while i < 5:
        form[i] = 0
        if k > 0:
            if k < 2048:
                p = ptr32(int(spectrum) + (k << 3))
                j = 0
                while j < 2:
                    x = (p[j] << sign) >> shift
                    if x < 0:
                        x = 0 - x
                    if x > 23169:
                        x = 23169
                    form[i] += x * x
                    j += 1
        k += far
        i += 1


@micropython.viper
def join(even: ptr32, odd: ptr32, sine: ptr16, form: ptr32):
    """From the spectra (as RFFT(2048) leaves them) of the even and of the odd samples to that of all 4,096, in place.

    odd follows even in memory, and bin k's parts are then words 2*k and 2*k + 1 from `even` on. form = sign32, places
    to drop of even, of odd (one is 0 unless the exponents differ). Words come at most 2**27 and leave at most 2**28;
    for the turn they are cut to 2**17, against factors in Q13.
    """
    sign = form[0]
    cut = sign + form[1]
    drop = sign + 10 + form[2]
    back = 3
    half = (1 << (10 + form[2])) >> 1
    # bins 0 and 1024 of both: real, in words 0 and 1
    x = (even[0] << sign) >> cut
    y = (odd[0] << sign) >> (sign + form[2])
    z = (even[1] << sign) >> cut
    t = (odd[1] << sign) >> (sign + form[2])
    even[0] = x + y
    even[1] = x - y  # bin 2048, at the place of bin 0's imaginary part as usual
    odd[0] = z
    odd[1] = 0 - t
    k = 1
    while k <= 512:
        m = 1024 - k
        c = (sine[m] + 4) >> 3
        s = (sine[k] + 4) >> 3
        x = ((odd[2 * k] + half) << sign) >> drop
        y = ((odd[2 * k + 1] + half) << sign) >> drop
        tr = (x * c + y * s) >> back
        ti = (y * c - x * s) >> back
        x = ((odd[2 * m] + half) << sign) >> drop
        y = ((odd[2 * m + 1] + half) << sign) >> drop
        ur = (x * s + y * c) >> back
        ui = (y * s - x * c) >> back
        x = (even[2 * k] << sign) >> cut
        y = (even[2 * k + 1] << sign) >> cut
        z = (even[2 * m] << sign) >> cut
        t = (even[2 * m + 1] << sign) >> cut
        # bins k and 2048-k, m and 2048-m; 2048-k lies at 1024-k = m of the upper half
        even[2 * k] = x + tr
        even[2 * k + 1] = y + ti
        odd[2 * m] = x - tr
        odd[2 * m + 1] = ti - y
        even[2 * m] = z + ur
        even[2 * m + 1] = t + ui
        odd[2 * k] = z - ur
        odd[2 * k + 1] = ui - t
        k += 1


@micropython.viper
def integrate(spectrum: ptr32, gains: ptr16, form: ptr32):
    """Divide bin k by k and multiply it by its gain, for k = form[2] ... form[3] - 1, k > 0.

    gains: Q12, below 4, at every 64th bin; between them the gain is a straight line. form = sign32, places by which
    the parts are shifted right first, so that they fit 15 bits and a sign; a product stays below 2**30.
    """
    sign = form[0]
    shift = sign + form[1]
    k = form[2]
    last = form[3]
    while k < last:
        g = gains[k >> 6]
        g += ((gains[(k >> 6) + 1] - g) * (k & 63)) >> 6
        x = (spectrum[2 * k] << sign) >> shift
        spectrum[2 * k] = (x * g) // k
        x = (spectrum[2 * k + 1] << sign) >> shift
        spectrum[2 * k + 1] = (x * g) // k
        k += 1


@micropython.viper
def powers(spectrum: ptr32, bins: int, form: ptr32):
    """Replace the pairs of bins 0 ... bins - 1 by their powers, one word a bin, each below 2**30.

    form = sign32, places by which the parts are shifted right first, so that they fit 14 bits and a sign.
    """
    x = 0
    y = 0
    sign = form[0]
    shift = sign + form[1]
    p = ptr32(int(spectrum))
    out = ptr32(int(spectrum))
    end = int(spectrum) + (bins << 3)
    while int(p) < end:
        x = (p[0] << sign) >> shift
        y = (p[1] << sign) >> shift
        out[0] = x * x + y * y
        out = ptr32(int(out) + 4)
        p = ptr32(int(p) + 8)


@micropython.viper
def highest(words: ptr32, first: int, last: int) -> int:
    """The index of the largest of words[first] ... words[last - 1], none of them negative; of two alike the first."""
    x = 0
    y = -1
    best = first
    k = first
    while k < last:
        x = words[k]
        if x > y:
            y = x
            best = k
        k += 1
    return best


@micropython.viper
def total(words: ptr32, first: int, last: int) -> int:
    """The sum of words[first] ... words[last - 1], 1,024 at most, each 0 ... 2**30 - 1 and cut by 10 bits."""
    x = 0
    sum = 0
    k = first
    while k < last:
        x = words[k]
        sum += x >> 10
        k += 1
    return sum


@micropython.viper
def median(words: ptr32, first: int, last: int) -> int:
    """The lower median of words[first] ... words[last - 1], all of them from 0 to 2**30 - 1.

    The words between `low` and `high` that may still be it are counted against one of them, which then is a bound: of
    49 words in noise some eight times.
    """
    x = 0
    k = (first + last) >> 1
    y = words[k]
    rank = (last - first + 1) >> 1
    low = -1
    high = 0x3FFFFFFF  # the largest that is a small integer on 32 bits
    high += 1
    under = 0
    over = 0
    while True:
        below = 0
        same = 0
        k = first
        while k < last:
            x = words[k]
            if x < y:
                below += 1
                if x > low:
                    under = x
            elif x > y:
                if x < high:
                    over = x
            else:
                same += 1
            k += 1
        if below >= rank:
            high = y
            y = under
        elif below + same < rank:
            low = y
            y = over
        else:
            return y


@micropython.viper
def standing(words: ptr32, k: int, last: int, form: ptr32) -> int:
    """The first of bins k ... last - 1 above its neighbours and above 16 times the `median` of those around, else last.

    form[1]: bins of background on each side, form[2]: bins that there are. k > 1. One count of the smaller words tells
    whether the median is below a limit, and costs a thirtieth of the median.
    """
    x = 0
    y = 0
    around = form[1]
    bins = form[2]
    while k < last:
        x = words[k]
        if x > words[k - 1]:
            if x >= words[k + 1]:
                j = k - around
                if j < 1:
                    j = 1
                end = k + around + 1
                if end > bins:
                    end = bins
                rank = (end - j + 1) >> 1
                y = (x + 15) >> 4
                while j < end:
                    if words[j] < y:
                        rank -= 1
                    j += 1
                if rank <= 0:
                    return k
        k += 1
    return last


@micropython.viper
def word(words: ptr32, index: int, form: ptr32) -> int:
    """words[index] with its sign, whatever the buffer says it holds. form[0] = sign32."""
    sign = form[0]
    return (words[index] << sign) >> sign
