"""Order tracking: values that were taken evenly in time, brought to even steps of the shaft's angle by a tachometer.

A speed that changes while it is measured smears every line; by angle they stand where they are at the mean speed. Fyfe
and Munck, Analysis of computed order tracking, MSSP 11(2), 1997, with straight lines between values for their cubic
ones: what is tracked is sampled three times as fast as its highest line.
"""

from array import array
from sys import platform

if platform == "rp2":
    from .warp_thumb import warp
else:
    from .warp import warp

STEADY = 0.01  # a change of speed below it smears no line by more than a bin or two

_form = array("i", (0, 0, 0, 0, 0))


def change(marks, count):
    """By what part of it the speed changed between the first and the last quarter of count marks, a turn apart."""
    part = max(1, count >> 2)
    if count < 3:
        return 0.0
    first = marks[part] - marks[0]
    last = marks[count - 1] - marks[count - 1 - part]
    return abs(first - last) / min(first, last) if min(first, last) > 0 else 1.0


def track(low, low_out, envelope, envelope_out, count, marks, n, whole_us):
    """Fill low_out with count values, evenly by angle, from low: as many, evenly in time over whole_us; and
    envelope_out with half as many from envelope. count: even.

    marks: n moments, in microseconds since the first value and within whole_us, each a turn after the one before.
    Before the first and after the last the shaft turns as beside them.
    """
    before = marks[0] / (marks[1] - marks[0])
    turns = before + n - 1 + (whole_us - marks[n - 1]) / (marks[n - 1] - marks[n - 2])
    a_turn = count / turns
    scale = count / whole_us * 32768
    a_value = scale / a_turn
    form = _form
    first = 0
    edge = before * a_turn  # where the turn begins in low_out, not rounded
    for j in range(1, n):
        start = marks[j - 1]
        stride = (marks[j] - start) * a_value
        place = max(0, int(start * scale + (first - edge) * stride))
        edge = (before + j) * a_turn
        end = min(count, int(edge) + 1) if j < n - 1 else count
        if end > first:
            step = int(stride)
            form[0] = first
            form[1] = end
            form[2] = place
            form[3] = step
            form[4] = count
            warp(low, low_out, form)
            # every second place, and half of it
            form[0] = (first + 1) >> 1
            form[1] = (end + 1) >> 1
            form[2] = (place + step * (first & 1)) >> 1
            form[4] = count >> 1
            warp(envelope, envelope_out, form)
            first = end
