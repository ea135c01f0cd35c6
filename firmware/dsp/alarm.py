"""From a feature's value to a level: ok, warning, alarm - with persistence, so that one odd block says nothing, and
hysteresis, so that a value at a limit does not flutter.

Theory of operation. Each value casts up to four votes: at or above the alarm limit, at or above the warning limit,
below the warning limit less its hysteresis, below the alarm limit less its hysteresis. The votes of the last `of`
values are kept. In each level `_MOVES` names the votes that lead out of it, the first with `count` votes wins:

    level      votes wanted                 next
    0 ok       at or above alarm            2
               at or above warning          1
    1 warning  at or above alarm            2
               below warning                0
    2 alarm    below warning                0
               below alarm                  1

A rise forgets the votes for falling, and a fall those for rising, so the way back needs `count` new ones. A value
that is not a number votes for nothing and leaves the level as it is.
"""

from micropython import const

_OVER_ALARM = const(0)
_OVER_WARNING = const(1)
_UNDER_WARNING = const(2)
_UNDER_ALARM = const(3)

_MOVES = (
    ((_OVER_ALARM, 2), (_OVER_WARNING, 1)),
    ((_OVER_ALARM, 2), (_UNDER_WARNING, 0)),
    ((_UNDER_WARNING, 0), (_UNDER_ALARM, 1)),
)
_MOST = const(30)  # votes in one small integer on 32 bits


class Threshold:
    """Judges one feature against an upper warning and an upper alarm limit, in the feature's unit.

    hysteresis: the part of a limit, 0 ... 1, by which a value must fall below it to count as back.
    count, of: how many of the last `of` values (at most 30) must agree before the level changes.
    level: 0 ok, 1 warning, 2 alarm. Raises ValueError for limits and counts that make no sense.
    """

    def __init__(self, warning: float, alarm: float, hysteresis: float = 0.1, count: int = 2, of: int = 3) -> None:
        if not 0 < warning <= alarm:
            raise ValueError("alarm: expected 0 < warning <= alarm, found {} and {}".format(warning, alarm))
        if not 0 <= hysteresis < 1:
            raise ValueError("alarm: expected a hysteresis from 0 to less than 1, found {}".format(hysteresis))
        if not 1 <= count <= of <= _MOST:
            raise ValueError("alarm: expected 1 <= count <= of <= 30, found {} of {}".format(count, of))
        self.warning = warning
        self.alarm = alarm
        self.level = 0
        self._warning_back = warning * (1 - hysteresis)
        self._alarm_back = alarm * (1 - hysteresis)
        self._count = count
        self._mask = (1 << of) - 1
        self._votes = [0, 0, 0, 0]  # each a bit a value, the newest lowest

    def raised(self) -> bool:
        """Whether it is above ok, or on its way there."""
        return self.level > 0 or self._votes[_OVER_WARNING] > 0

    def update(self, value: float) -> int:
        """Take the next value; return the level after it."""
        self._vote(_OVER_ALARM, value >= self.alarm)
        self._vote(_OVER_WARNING, value >= self.warning)
        self._vote(_UNDER_WARNING, value < self._warning_back)
        self._vote(_UNDER_ALARM, value < self._alarm_back)
        for kind, level in _MOVES[self.level]:
            if _ones(self._votes[kind]) >= self._count:
                self._move(level)
                break
        return self.level

    def _vote(self, kind: int, given: bool) -> None:
        self._votes[kind] = (self._votes[kind] << 1 | given) & self._mask

    def _move(self, level: int) -> None:
        stale = (_UNDER_WARNING, _UNDER_ALARM) if level > self.level else (_OVER_ALARM, _OVER_WARNING)
        for kind in stale:
            self._votes[kind] = 0
        self.level = level


def _ones(bits: int) -> int:
    ones = 0
    while bits:
        bits &= bits - 1
        ones += 1
    return ones
