"""What is healthy for this machine: median and spread of each feature over the first K measurements while it ran.

The median and the median absolute deviation (MAD) are not moved by a few odd measurements among the K: a tool that
fell, a start. A MAD of 1 is 0.67 standard deviations of normal noise.
"""

from array import array

from micropython import const

FEATURES = ("rms", "envelope", "velocity", "bpfo", "bpfi", "bsf2", "ftf")
# Beside them, of the spectrum's upper octaves: there a damaged bearing rings, and in one octave it is seen when its
# level is still low against that of all others.
OCTAVES = const(3)

_LINES = const(3)  # FEATURES from here on are amplitudes of lines
KURTOSIS = const(10)  # the column after those of FEATURES and octaves
_COLUMNS = const(11)
_SIGMA = const(1.4826)

# A limit is the larger of two: a ratio to the median, and standard deviations above it.
# The ratios of levels are steps of the preferred numbers R5 (ISO 3), 1.6 and 2.5 (4 and 8 dB): neighbouring zones of
# ISO 20816-3 are 1.6 to 2 apart, so a warning is somewhat less than a zone and an alarm somewhat more.
# A line starts from the noise between lines, which alone makes the highest bin of a search differ by 2 from one
# measurement to the next: four and eight times (12 and 18 dB).
# The MAD of ten values is itself uncertain by a third: six such deviations are hardly less than four true ones.
LEVEL_RATIOS = (1.6, 2.5)
_LINE_RATIOS = (4.0, 8.0)
_DEVIATIONS = (6.0, 10.0)


def _median(values: list[float]) -> float:
    values = sorted(values)
    middle = len(values) >> 1
    return values[middle] if len(values) & 1 else (values[middle - 1] + values[middle]) / 2


class Baseline:
    """Learns from `wanted` measurements; `state` and `restore` carry it over a restart, at any point of learning.

    median, mad: one value a feature once `learned`.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.learned = False
        self.median = self.mad = array("f", bytes(4 * _COLUMNS))
        self._rows: list[array[float]] = []

    def learn(self, row: list[float]) -> bool:
        """Take what one healthy measurement has: FEATURES, octaves, kurtosis, in this order; returns `learned`."""
        if not self.learned:
            self._rows.append(array("f", row))
            if len(self._rows) >= self.wanted:
                self.median, self.mad = array("f", row), array("f", row)
                for i in range(_COLUMNS):
                    column = [row[i] for row in self._rows]
                    self.median[i] = middle = _median(column)
                    self.mad[i] = _median([abs(value - middle) for value in column])
                self._rows = []
                self.learned = True
        return self.learned

    def count(self) -> int:
        """How many measurements it has learned from."""
        return self.wanted if self.learned else len(self._rows)

    def limits(self, index: int) -> tuple | None:
        """(warning, alarm) of a feature in its unit; None where nothing was learned about it."""
        middle = self.median[index]
        if middle <= 0:
            return None
        ratios = _LINE_RATIOS if _LINES <= index < len(FEATURES) else LEVEL_RATIOS
        deviation = _SIGMA * self.mad[index]
        return tuple(max(ratio * middle, middle + count * deviation) for ratio, count in zip(ratios, _DEVIATIONS))

    def octave(self, levels: list[float]) -> float:
        """The highest ratio of an octave's level to its median, less where it scatters; 0 where none was learned."""
        highest = 0.0
        for i in range(OCTAVES):
            limits = self.limits(len(FEATURES) + i)
            if limits:
                highest = max(highest, LEVEL_RATIOS[0] * levels[i] / limits[0])
        return highest

    def state(self) -> dict[str, list]:
        """All of it as a dict of numbers and lists, for JSON."""
        if self.learned:
            return {"median": list(self.median), "mad": list(self.mad)}
        return {"rows": [list(row) for row in self._rows]}

    def restore(self, state: dict) -> bool:
        """Take back what `state` gave. Raises ValueError, and stays as it was, if it is not that."""
        if not isinstance(state, dict):
            raise ValueError("baseline: the saved state is corrupt")
        if "median" in state:
            rows = [state.get("median"), state.get("mad")]
            for row in rows:
                if isinstance(row, list) and len(row) == len(FEATURES):
                    row.extend([0.0] * (_COLUMNS - len(row)))  # learned by a version that knew no more
            _check(rows)
            self.median, self.mad = array("f", rows[0]), array("f", rows[1])
            self.learned = True
        else:
            rows = state.get("rows")
            _check(rows)
            self._rows = [array("f", row) for row in rows[: self.wanted - 1]]
        return self.learned


def _check(rows) -> None:
    ok = isinstance(rows, list)
    for row in rows if ok else ():
        ok = ok and isinstance(row, list) and len(row) == _COLUMNS
        for value in row if ok else ():
            ok = ok and type(value) in (int, float) and 0 <= value < 1e9
    if not ok:
        raise ValueError("baseline: the saved state is corrupt")
