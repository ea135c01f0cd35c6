"""Faults that are no bearing's, by what stands in the spectrum of velocity: ISO 13373-3:2015, annexes, and Randall,
Vibration-based Condition Monitoring, 2nd ed. 2021, chapter 2.

fault          stands, in power                                                    and not
unbalance      the shaft's speed: 64 %                                             harmonics 2 ... 8 above a third of it
misalignment   harmonics 1 ... 3: 64 %, the second as high as the first            4 ... 8 above a third of the second
looseness      harmonics 1 ... 8 and halves: 64 %, four of 3 ... 8 or two halves
               above a quarter of the highest
gear mesh      a harmonic from 9 on with its neighbours, the sidebands: 64 %,      a sideband below a tenth of it
               also blades, where two shafts run
resonance      a third of an octave: 64 %, and a hump there, no line
electrical     twice the mains' frequency: 64 %                                    a harmonic of the shaft there

64 % of the power is 80 % of the RMS. Halves are at 0.5, 1.5, 2.5 and 3.5 times the speed; in all but looseness they are
below a quarter. Ratios of lines are of amplitudes. Two that are clear at once can't be; what fits none has no name.
"""

from array import array

from micropython import const

from . import streams
from .fft import SIGN32

UNBALANCE = const(4)  # of quaver_wire.fields.FAULTS
MISALIGNMENT = const(5)
LOOSENESS = const(6)
GEAR_MESH = const(7)
RESONANCE = const(8)
ELECTRICAL = const(9)

_CLEAR = const(0.64)
_THIRD = const(1 / 9)
_QUARTER = const(1 / 16)
_TENTH = const(1 / 100)
_HARMONICS = const(8)
_HALVES = const(4)
_APART = const(3)  # bins between two lines that can be told apart
# Bins on each side, of which half hold a 16th of the highest: a line has three, and two beside it nine.
_HUMP = const(6)
_MAINS_HZ = (100.0, 120.0)  # twice the frequency of the mains
_LEAST = const(1 << 14)  # of the sum of all powers: below, there is nothing to take parts of

_form = array("i", (SIGN32,))


class Orders:
    """fault: index of FAULTS of what `run` found clear, or None; share: its part of the power of velocity."""

    def __init__(self):
        self.fault = None
        self.share = 0.0

    def run(self, powers, first, bins, width, speed_hz):
        """powers: of velocity, below 2**30, bins `width` Hz apart, of which those from `first` on count."""
        self.fault = None
        total = streams.total(powers, first, bins)
        if total < _LEAST:
            return

        def part(place):
            k = int(place + 0.5)
            if k - 1 < first or k + 3 >= bins:
                return 0.0
            k = streams.highest(powers, k - 1, k + 2)
            return streams.total(powers, max(first, k - 2), k + 3) / total

        turn = speed_hz / width
        if turn < 2 * _APART:
            return
        whole = [part(turn * i) for i in range(1, _HARMONICS + 1)]
        halves = [part(turn * (i + 0.5)) for i in range(_HALVES)]
        one, two = whole[:2]
        high = max(one, two)
        still = max(halves) < _QUARTER * high
        mains = [hz / width for hz in _MAINS_HZ]
        if sum(whole) + sum(halves) >= _CLEAR:
            self.share = sum(whole) + sum(halves)
            loose = sum(each >= _QUARTER * high for each in whole[2:]) >= _HARMONICS // 2
            if loose or sum(each >= _QUARTER * high for each in halves) >= _HALVES // 2:
                self.fault = LOOSENESS
            elif still and one >= _CLEAR and max(whole[1:]) < _THIRD * one:
                self.share = one
                self.fault = UNBALANCE
            elif still and two >= one and sum(whole[:3]) >= _CLEAR and max(whole[3:]) < _THIRD * two:
                if all(abs(2 * turn - place) > _APART for place in mains):
                    self.share = sum(whole[:3])
                    self.fault = MISALIGNMENT
            return
        for place in mains:
            rest = place % turn
            self.share = part(place)
            if self.share >= _CLEAR:
                if min(rest, turn - rest) > _APART:
                    self.fault = ELECTRICAL
                return
        k = streams.highest(powers, first, bins)
        order = int(k / turn + 0.5)
        line = part(order * turn)
        below, above = part((order - 1) * turn), part((order + 1) * turn)
        self.share = line + below + above
        if order > _HARMONICS and abs(order * turn - k) <= 1.5:
            if self.share >= _CLEAR and min(below, above) >= _TENTH * line:
                self.fault = GEAR_MESH
                return
        around = max(first, k - _HUMP), min(bins, k + _HUMP + 1)
        if k > 2 * turn and streams.median(powers, *around) >= streams.word(powers, k, _form) >> 4:
            self.share = streams.total(powers, int(k / 1.122), min(bins, int(k * 1.122) + 1)) / total
            if self.share >= _CLEAR:
                self.fault = RESONANCE
