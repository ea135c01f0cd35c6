"""The levels of a spectrum, a byte a bin, as a record carries them; quaver_wire/spectrum.py has their reader's side.

A level is that of the highest line in its bin, so that no line drowns in a wide one: in half decibels above 10 micro-g
of amplitude, 0 for what is below and 255 for 23.7 g and more. It is right to half a step, but for the window: a line
between two of the transform's shows up to 1.4 dB less than it is (Hann). What a decimator takes off is put back.
"""

import math
from array import array

import micropython
from micropython import const

from .fft import SIGN32
from .kernels import address

BINS = const(256)
_REFERENCE_G = const(1e-5)
_NEPER = 40 * math.log10(math.e)  # half decibels


def form(first, last, lines, least, order, decimation):
    """What `fill` and the kernels are to know of bins first ... last - 1, made once.

    lines: of the spectrum from 0 to half the sensor's rate, 16,384 at most: the bins are then spaced evenly in the
    logarithm, 64 to 3 octaves, and a bin between two lines has the nearer one's level. 0 for bins of 4 lines each, of
    a spectrum of 1,024. least: lines below it say nothing but the mean. order, decimation: of the decimator whose
    droop is to be put back; 1 for none.

    The droop of order n by R is n * ln(sinc(x / R) / sinc(x)), x a part of the rate that leaves it. With q = (pi x)**2
    that is n * (q / 6 * (1 - 1 / R**2) + q**2 / 180 * (1 - 1 / R**4)) and less than 0.2 dB more, up to x = 1/2.
    """
    square = decimation * decimation
    q = math.pi * math.pi
    small = int(256 * order * _NEPER * q / 6 * (1 - 1 / square))
    more = int(256 * order * _NEPER * q * q / 180 * (1 - 1 / (square * square)))
    return array("i", (SIGN32, first, last, lines, least, 0, small, more))


def fill(spectrum, out, about, unit_g):
    """Put the levels of a spectrum's bins into out; the spectrum stays as it is.

    about: of `form`: of pairs, or, where it says 4 lines a bin, of powers. unit_g: amplitude of a line of 1.
    """
    about[5] = int(256 * _NEPER * math.log(unit_g / _REFERENCE_G) + 0.5)
    kernel = _logarithmic if about[3] else _even
    kernel(address(spectrum), address(out), about)


@micropython.viper
def _logarithmic(x: int, y: int, about: ptr32):
    """x, y: the addresses of the pairs and of out. about: sign32, first, last, lines, least, a line of 1 in Q8; the
    droop's factors of x**2 and x**4 in Q8.

    The edge below bin i = 64 a + b lies at lines * 2**(3 b / 64) / 2**(12 - 3 a); edge is that power of 2 in Q12, each
    made of the last one and at most 2**15, so that lines * edge stays below 2**30.
    """
    spectrum = x
    out = ptr8(y)
    sign = about[0]
    i = 0
    last = about[2]
    lines = about[3]
    unit = (about[5] << sign) >> sign
    edge = 4096
    places = 24
    while i < last:
        above = (edge * 16925 + 8192) >> 14  # times 2**(3/64)
        if i >= about[1]:
            x = (1 << places) - 1
            k = (lines * edge + x) >> places
            end = (lines * above + x) >> places
            if k >= end:
                k = (lines * ((edge + above) >> 1) + (x >> 1) + 1) >> places
                end = k + 1
            middle = (k + end) >> 1
            if k < about[4]:
                k = about[4]
            power = 0
            shift = 0
            floor = 0
            p = ptr32(spectrum + (k << 3))
            stop = spectrum + (end << 3)
            while int(p) < stop:
                x = (p[0] << sign) >> sign
                if x < 0:
                    x = 0 - x
                y = (p[1] << sign) >> sign
                if y < 0:
                    y = 0 - y
                p = ptr32(int(p) + 8)
                if x + y > floor:  # else it is lower than the highest: its sum is no less than its amplitude
                    m = x
                    if x < y:
                        m = y
                    k = m >> shift
                    while k > 0x3FFF:
                        k >>= 1
                        shift += 1
                        power >>= 2
                    x >>= shift
                    y >>= shift
                    x = x * x + y * y
                    if x > power:
                        power = x
                        floor = m
            x = 0
            if power:
                # log2 of power * 4**shift in Q14: the fraction f of its mantissa 1 + f gives f + 0.3431 f (1 - f),
                # within 0.009 (0.03 dB)
                x = power
                y = (shift << 1) + 14
                while x > 0x7FFFF:
                    x >>= 4
                    y += 4
                while x > 0x7FFF:
                    x >>= 1
                    y += 1
                while x < 0x4000:
                    x <<= 1
                    y -= 1
                x &= 0x3FFF
                x += ((x * (0x4000 - x)) >> 14) * 5621 >> 14
                x += y << 14
                y = middle * middle >> 8  # the square of a part of the rate, in Q16
                x = ((x >> 6) * 1541 >> 8) + unit  # 20 log10(2) half decibels
                x += (y * about[6] >> 16) + ((y * y >> 16) * about[7] >> 16) + 128
                x >>= 8
                if x < 0:
                    x = 0
                if x > 255:
                    x = 255
            out[i] = x
        edge = above
        i += 1
        if i & 63 == 0:
            edge = 4096
            places -= 3


@micropython.viper
def _even(x: int, y: int, about: ptr32):
    """As _logarithmic, of powers below 2**30 in bins of 4 lines; a line's place is a part of 2,048."""
    sign = about[0]
    out = ptr8(y)
    p = ptr32(x)
    least = about[4]
    unit = (about[5] << sign) >> sign
    i = 0
    while i < 256:
        x = 0
        k = least - 4 * i
        if k < 0:
            k = 0
        while k < 4:
            y = p[k]
            if y > x:
                x = y
            k += 1
        p = ptr32(int(p) + 16)
        if x:
            y = 14
            while x > 0x7FFFF:
                x >>= 4
                y += 4
            while x > 0x7FFF:
                x >>= 1
                y += 1
            while x < 0x4000:
                x <<= 1
                y -= 1
            x &= 0x3FFF
            x += ((x * (0x4000 - x)) >> 14) * 5621 >> 14
            x += y << 14
            y = (8 * i + 4) * (8 * i + 4) >> 8
            x = ((x >> 6) * 1541 >> 8) + unit
            x += (y * about[6] >> 16) + ((y * y >> 16) * about[7] >> 16) + 128
            x >>= 8
            if x < 0:
                x = 0
            if x > 255:
                x = 255
        out[i] = x
        i += 1
