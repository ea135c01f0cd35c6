"""From a sensor's burst of words to samples: the step between a FIFO and everything else in `dsp`."""

import micropython

from . import kernels


@micropython.native  # bytecode with so many locals takes its frame from the heap, at each call
def gather(raw, count, stride, offset, high, out, at):
    """Copy a 16-bit value from each of `count` words in `raw` into out[at...]; return at + count.

    raw: buffer of words of `stride` bytes; the value's low byte is byte `offset` of a word, and its high byte lies
    `high` bytes further: 1, or -1 for a big-endian one. out: array('h').
    Allocates nothing. Raises ValueError if either buffer is too short.
    """
    if count <= 0:
        return at
    first = min(offset, offset + high)
    if at < 0 or first < 0 or stride < first + 2 or len(raw) < count * stride or len(out) < at + count:
        raise ValueError("unpack: {} words of {} bytes do not fit the buffers".format(count, stride))
    return kernels.gather(raw, count, stride, offset, high, out, at)
