"""A slow rise of levels, told before a limit is reached: a robust slope over days.

The time since the baseline was learned is kept as 12 ... 24 means of the logarithm of value over baseline. When the
24th is complete, pairs become one, until a mean spans a day; then the oldest is dropped. A trend is told when, twice
running,

- the last mean is above the warning ratio, so that what wanders below it says nothing;
- the rise is no chance: of all pairs of means many more rise than fall (Mann and Kendall's test);
- and the median of the slopes of all pairs (Theil and Sen) leads above the alarm ratio within as long again, also that
  of the later half alone: a step from one load to another one is flat there.

The pairs of a feature take a chip 6 ms. One feature is looked at in a measurement, so that three that rise together do
not delay its verdict: a trend is told two measurements later at most, of a rise that took days. Nor are means thinned
in the measurement that has the most of them to look at, but before the next.

Sen, J. American Statistical Association 63, 1968; ISO 13381-1:2015 for the projection of a trend.
"""

import math
from array import array

import micropython
from micropython import const

_MOST = const(24)
_FEWEST = const(12)
_DAY_S = const(86400)
# Of pairs of means, those that rise less those that fall: a step in the middle of a time makes 0.55 of all, in noise
# some more. A life that is steady at first may rise in its later half alone.
_WHOLE = const(0.5)
_LATE = const(0.9)
_LOWEST = const(-1.0)  # of a logarithm to the base of 2: one odd value weighs no more than half or
_HIGHEST = const(1.5)  # almost three times the baseline
_ONE = const(1 << 20)  # of a slope: whole numbers are a chip's quickest, and need no heap


@micropython.native
def _slope(means: "array[float]", needed: float) -> float:
    """The median slope of all pairs; 0 where those that rise, less those that fall, are not the needed part of them."""
    whole = [int(mean * _ONE) for mean in means]
    slopes = []
    rising = 0
    for j, last in enumerate(whole):
        for i in range(j):
            slope = (last - whole[i]) // (j - i)
            slopes.append(slope)
            if slope > 0:
                rising += 1
            elif slope < 0:
                rising -= 1
    if rising < needed * len(slopes):
        return 0.0
    slopes.sort()
    return slopes[len(slopes) >> 1] / _ONE


class Trend:
    """warning, alarm: ratios of value to baseline. count: features that are followed side by side.

    `value`: by how many times the furthest of the features is expected to be above the alarm ratio, 0 with no trend.
    """

    def __init__(self, count: int, warning: float, alarm: float) -> None:
        self.value = 0.0
        self._warning = math.log(warning) / math.log(2)
        self._alarm = math.log(alarm) / math.log(2)
        self.count = count
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.value = self._before = 0.0
        self._means = [array("f", bytes(4 * _MOST)) for _ in range(self.count)]
        self._n = 0  # means that there are of each
        self._sums = array("f", bytes(4 * self.count))
        self._taken = array("H", bytes(2 * self.count))
        self._stride_s = 0.0  # of a mean; 0 while each measurement makes one
        self._passed_s = 0.0
        self._turn = self.count  # the feature that is looked at next, of a look that all have their turn in
        self._furthest = 0.0  # of those that had it

    def take(self, ratios: "list[float | None]", since_s: float) -> float:
        """Take a measurement's ratios, None where there is none, since_s after the last one; returns `value`."""
        self._thin()
        for i, ratio in enumerate(ratios):
            if ratio:
                self._sums[i] += min(max(math.log(ratio) / math.log(2), _LOWEST), _HIGHEST)
                self._taken[i] += 1
        self._passed_s += since_s
        if self._passed_s >= self._stride_s:
            self._close()
            if self._turn == self.count:
                self._turn = 0
                self._furthest = 0.0
        if self._turn < self.count:
            self._look()
        return self.value

    def _close(self) -> None:
        n = self._n
        for i, means in enumerate(self._means):
            if self._taken[i]:
                means[n] = self._sums[i] / self._taken[i]
            else:
                means[n] = means[n - 1] if n else 0.0
            self._sums[i] = 0.0
            self._taken[i] = 0
        self._n = n + 1
        self._stride_s = max(self._stride_s, self._passed_s)
        self._passed_s = 0.0

    def _look(self) -> None:
        self._furthest = max(self._furthest, self._ahead(self._means[self._turn][: self._n]))
        self._turn += 1
        if self._turn == self.count:
            self.value = min(self._furthest, self._before)
            self._before = self._furthest

    def _thin(self) -> None:
        if self._n < _MOST:
            return
        for means in self._means:
            for k in range(_MOST // 2 if self._stride_s < _DAY_S else _MOST - 1):
                means[k] = (means[2 * k] + means[2 * k + 1]) / 2 if self._stride_s < _DAY_S else means[k + 1]
        if self._stride_s < _DAY_S:
            self._stride_s *= 2
            self._n = _MOST // 2
        else:
            self._n = _MOST - 1

    def _ahead(self, means: "array[float]") -> float:
        n = len(means)
        if n < _FEWEST or means[-1] < self._warning:
            return 0.0
        # the later half; and of all the time every second mean, which costs the chip a quarter
        late = _slope(means[n >> 1 :], _LATE)
        if late <= 0:
            return 0.0
        slope = min(late, _slope(array("f", [means[k] for k in range(1 - n & 1, n, 2)]), _WHOLE) / 2)
        if slope <= 0:
            return 0.0
        ahead: float = means[-1] + n * slope
        return 2 ** (ahead - self._alarm) if ahead >= self._alarm else 0.0

    def state(self) -> "dict[str, list[list[float]] | list[float]]":
        """All of it as numbers and lists, for JSON; but a look that not all features had their turn in begins anew."""
        self._thin()
        passed = [self._stride_s, self._passed_s, self._before, self.value]
        return {
            "means": [list(means[: self._n]) for means in self._means],
            "passed": passed + list(self._sums) + list(self._taken),
        }

    def restore(self, state) -> None:  # type: ignore[no-untyped-def]
        """Take back what `state` gave. Raises ValueError, KeyError or TypeError, and stays as it was, if it is none."""
        rows, passed = state["means"], state["passed"]
        n = self.count
        if len(rows) != n or len(passed) != 4 + 2 * n or any([len(row) != len(rows[0]) for row in rows]):
            raise ValueError("trend: the saved state is corrupt")
        for row in rows + [passed]:
            if len(row) >= _MOST or not all([type(value) in (int, float) and -1e9 < value < 1e9 for value in row]):
                raise ValueError("trend: the saved state is corrupt")
        self.forget()
        self._n = len(rows[0])
        for means, row in zip(self._means, rows):
            for k, value in enumerate(row):
                means[k] = value
        self._stride_s, self._passed_s, self._before, self.value = passed[:4]
        for i in range(n):
            self._sums[i] = passed[4 + i]
            self._taken[i] = int(passed[4 + n + i]) & 0xFFFF
