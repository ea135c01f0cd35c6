"""The spectrum of real samples in fixed point: the tables and the order of the passes.

passes.py does the work, on the RP2040 passes_thumb.py does, with the same bits; only the one in use is loaded.

n real samples are taken as n/2 complex ones. A first pass gathers them, from their scattered places, into
transforms of length 8 (or 4, where n/2 is an even power of two); radix-4 passes combine those; a last pass splits
the result into the spectrum of the real samples.

The radix-4 passes are of the conjugate-pair kind (Kamar and Elcherif, Electronics Letters 25(5), 1989): the parts
are the samples 4m, 4m+2, 4m+1 and 4m-1, so that the last two turn by opposite angles and share their constants.
It needs four numbers a butterfly, where the usual kind needs six and more loads. Its price is that a part may begin
at a negative sample, which means one at the end; there, only input 0 of a leaf wraps round, so each leaf is given
by the places of its inputs 0 and 1.

Scaling. The samples are first shifted left until they fill 16 bits (`run` returns by how much). From then on
nothing is scaled down: a pass makes pairs at most 4 times longer, which are kept whole in int32, and only what goes
into a multiplication is shortened, to a length of 2**17.5, against twiddles in Q13: 31 bits. The rounding constant
of that shift is added where it costs least, to one input of each leaf: see `_starts`.
"""

from array import array
from sys import maxsize, platform

import micropython
from micropython import const

from . import tables
from .kernels import address

if platform == "rp2":
    from . import passes_thumb as passes
else:
    from . import passes

try:
    from . import tables_2048 as ready  # on a chip that uses them in flash
except ImportError:
    ready = None

# left shifts that bring the sign bit of a 32-bit and of a 16-bit load to the top of a machine word
SIGN32 = 32 if maxsize > 0x7FFFFFFF else 0
_SIGN16 = 48 if maxsize > 0x7FFFFFFF else 16

_TURN = const(4096)  # steps of the sine table to the full turn
_QUARTER = const(1024)
_Q = const(13)  # of the twiddles
_LARGEST = const(4096)
_SMALLEST = const(64)
_READY = const(2048)  # the transform that they are for
_len = len  # a name of this module is found at once, a built-in one by a walk through them all: 15 us


def _sine(step):
    """round(2**13 * sin) from the Q16 table, for step = 0 ... half a turn."""
    if step > _QUARTER:
        step = 2 * _QUARTER - step
    return (tables.SINE[2 * step] + (tables.SINE[2 * step + 1] << 8) + 4) >> 3


def _cosine(step):
    return _sine(_QUARTER - step) if step <= _QUARTER else -_sine(step - _QUARTER)


def _shortening(growth):
    """Places to drop before a multiplication, once transforms have made the samples 2**growth times longer.

    A pair of full int16 samples has length 2**15.5; 2**17.5 is the most that Q13 leaves room for.
    """
    return max(0, growth - 2)


class RFFT:
    """A transform of n real samples, n = 64, 128 ... 4096, with its tables (about 3 bytes a sample of n).

    Holds no samples: one object serves any number of callers in turn.
    """

    def __init__(self, n):
        if n < _SMALLEST or n > _LARGEST or n & (n - 1):
            raise ValueError("fft: expected a power of two from 64 to 4096, found {}".format(n))
        self.n = n
        pairs = n >> 1
        leaves = passes.leaves4
        length = 4
        growth = 2
        while length < pairs:
            length <<= 2
        if length != pairs:
            leaves = passes.leaves8
            length = 8
            growth = 3
        else:
            length = 4
        # of the first pass: see passes.leaves4; the second word is set by each run
        gather = array("i", (_SIGN16, 0, 4 * pairs // length, 8 * pairs))
        leaf = length
        leaf_growth = growth
        forms = [SIGN32, 8 * pairs]
        made = ready if n == _READY else None
        twiddles = array("H")
        while length < pairs:
            drop = _shortening(growth)
            forms += (SIGN32 + drop, _Q - drop, 8 * length)
            if not (made and passes.COSINE_BIAS):
                twiddles.extend(_twiddles(length))
            length <<= 2
            growth += 2
        forms += (0, 0, 0)
        # The split multiplies sums of two, twice the transform of the odd samples: real ones, of which no bin but the
        # first and the middle, which it does not multiply, can be longer than sqrt(1/2) of their sum (at a quarter of
        # the rate; elsewhere 2/3 and less). That is again 2**15.5 a pair.
        drop = _shortening(growth)
        last = array("i", (SIGN32, SIGN32 + drop, _Q - drop, 8 * pairs, (1 << drop) >> 1, (1 << drop) >> 2))
        starts = made.STARTS if made else _starts(pairs, leaf, leaf_growth, last[5])
        turns = made.TURNS if made else _turns(n)
        # One look-up in `run` for all: on the device a name costs as much as two butterflies.
        self._plan = (
            (n, passes.headroom, leaves, gather, starts)
            + (passes.radix4, array("i", forms), made.TWIDDLES if made and passes.COSINE_BIAS else twiddles)
            + (passes.split, last, turns)
        )

    @micropython.native  # as bytecode it has too many locals for the stack, and each call would allocate
    def run(self, src, out):
        """Transform src, array('h') of n samples, into out, array('i') of n words; return the exponent e.

        out holds the real and imaginary parts of bins 0 ... n/2 - 1, except that out[1] is the (real) bin n/2.
        out = 2**e * sum(src[i] * exp(-2j*pi*i*k/n)), with e = 1 ... 15; |out| < 2**29. src and out may not overlap.
        Raises ValueError if a buffer is too short, or if one does not begin at a multiple of 4 bytes.
        """
        n, headroom, leaves, gather, starts, radix4, forms, twiddles, split, last, turns = self._plan
        if _len(src) < n or _len(out) < n:
            raise ValueError("fft: expected {} samples and words, found {} and {}".format(n, len(src), len(out)))
        source = address(src)
        target = address(out)
        if (source | target) & 3:
            raise ValueError("fft: expected buffers at a multiple of 4 bytes, found a slice")
        left = headroom(source, 0, n >> 1)
        gather[1] = _SIGN16 - left
        leaves(source, target, starts, gather)
        radix4(target, 0, forms, twiddles)
        split(target, 0, last, turns)
        return left + 1


def _starts(pairs, leaf, growth, imaginary):
    """For each leaf, in the order of the output: byte offsets of inputs 0 and 1, rounding for both parts of input 0.

    Leaf i's digits to base 4, the first one for the last pass, tell which part it is of: 0, 2, 1 or -1 places on.
    As part 0 it goes whole into all four results and takes its rounding constant along; so the constant it needs is
    that of the first pass in which it is another part, and is shortened. Leaf 0 never is; its constant reaches the
    whole transform, and the split has use for one in the imaginary parts.
    """
    count = pairs // leaf  # also the pairs between two inputs of a leaf
    starts = array("H", bytes(8 * count))
    for i in range(count):
        first = 0
        step = 1
        weight = count >> 2
        while weight:
            first += (0, 2, 1, -1)[(i // weight) & 3] * step
            step <<= 2
            weight >>= 2
        whole = 0  # passes for which the leaf stays part 0
        while i and not (i >> 2 * whole) & 3:
            whole += 1
        starts[4 * i] = 4 * (first % pairs)
        starts[4 * i + 1] = 4 * (first + count)
        starts[4 * i + 2] = starts[4 * i + 3] = (1 << _shortening(growth + 2 * whole)) >> 1
    starts[2] = 0
    starts[3] = imaginary
    return starts


def _turns(n):
    """cos a, sin a in Q13 for a = k/n of a turn, k = 1 ... n/4 - 1."""
    turns = array("H", bytes(n))
    for k in range(1, n >> 2):
        turns[2 * k - 2] = _cosine(k * (_TURN // n))
        turns[2 * k - 1] = _sine(k * (_TURN // n))
    return turns


def _twiddles(quarter):
    """cos a, sin a, sin 2a, cos 2a (+ bias) in Q13 for a = k/quarter of a right angle, k = 0 ... quarter - 1."""
    twiddles = array("H", bytes(8 * quarter))
    for k in range(quarter):
        step = k * (_QUARTER // quarter)
        twiddles[4 * k] = _cosine(step)
        twiddles[4 * k + 1] = _sine(step)
        twiddles[4 * k + 2] = _sine(2 * step)
        twiddles[4 * k + 3] = (_cosine(2 * step) + passes.COSINE_BIAS) & 0xFFFF
    return twiddles
