"""Order tracking: values that were taken evenly in time, brought to even steps of the shaft's angle by a tachometer.

A speed that changes while it is measured smears every line; by angle they stand where they are at the mean speed. Fyfe
and Munck, Analysis of computed order tracking, MSSP 11(2), 1997, with straight lines between values for their cubic
ones: what is tracked is sampled three times as fast as its highest line.
"""

from array import array

from . import streams

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


def track(values, out, count, marks, n, whole_us):
    """Fill out with count values, evenly by angle, from as many evenly in time over whole_us.

    marks: n moments, in microseconds since the first value and within whole_us, each a turn after the one before.
    Before the first and after the last the shaft turns as beside them.
    """
    before = marks[0] / (marks[1] - marks[0])
    turns = before + n - 1 + (whole_us - marks[n - 1]) / (marks[n - 1] - marks[n - 2])
    a_turn = count / turns
    scale = count / whole_us * 32768
    form = _form
    form[4] = count
    form[0] = 0
    for j in range(n):
        # from mark j - 1 on; before the first and after the last mark the turn beside it goes on
        i = min(max(j, 1), n - 1)
        length = marks[i] - marks[i - 1]
        form[1] = count if j == n - 1 else min(count, int((before + j) * a_turn) + 1)
        if form[1] > form[0]:
            at = marks[i - 1] + (form[0] / a_turn - before - (i - 1)) * length
            form[2] = max(0, int(at * scale))
            form[3] = int(length / a_turn * scale)
            streams.warp(values, out, form)
            form[0] = form[1]
