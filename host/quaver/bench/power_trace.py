"""A real board's current over time, as a Joulescope or a Power Profiler Kit wrote it, in wakes and sleep between them.

All write CSV with a line of names: nRF Connect's Power Profiler `Timestamp(ms),Current(uA),D0-D7` (its
exportChartAction.ts), the Joulescope UI `# time,JS220-000415.i,…` of what it shows (its waveform_widget.py) and
`#time,current,voltage,…` of recorded statistics, in seconds and amperes. A unit in brackets counts where there is one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError

_ROWS = 200_000  # read at once: an hour of a Power Profiler has 360 million
_BIN_S = 0.001  # a wake is looked for in means of so long
_GAP_S = 0.05  # below the threshold for less than this is no sleep
_LONGEST_BINS = 100_000_000
_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_CURRENTS = {"a": 1e3, "ma": 1.0, "ua": 1e-3, "µa": 1e-3, "na": 1e-6}  # in mA
_COLUMN = re.compile(r"#?\s*([a-z]+)\s*(?:[(\[]\s*([a-zµ]+)\s*[)\]])?")
_OF_DEVICE = re.compile(r".+\.i$")  # a Joulescope's current, behind the device's name


@dataclass(frozen=True)
class Trace:
    """Means over a millisecond each, in mA; source: the file's name."""

    source: str
    ma: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        return float(len(self.ma)) * _BIN_S


@dataclass(frozen=True)
class Measured:
    """wakes: whole ones. period_s: from a wake to the next, the mean; awake_s, mas: of a wake, the mean; asleep_ma."""

    wakes: int
    period_s: float
    awake_s: float
    mas: float
    asleep_ma: float
    mean_ma: float


def read_trace(path: Path) -> Trace:
    """The trace in a CSV file. Raises RecordingError with the line that is wrong."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
            time_at, time_unit, current_at, current_unit = _columns(path, header)
            return Trace(path.name, _bins(path, file, (time_at, current_at), (time_unit, current_unit)))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}): check the name") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not text: export the trace as CSV") from error


def _columns(path: Path, header: str) -> tuple[int, float, int, float]:
    found: dict[str, tuple[int, float]] = {}
    for at, name in enumerate(header.strip().lower().split(",")):
        match = _COLUMN.fullmatch(_OF_DEVICE.sub("current", name.strip()))
        if match is None:
            continue
        word, unit = match[1], match[2]
        if word in ("time", "timestamp") and "time" not in found and (unit or "s") in _TIMES:
            found["time"] = at, _TIMES[unit or "s"]
        elif word == "current" and "current" not in found and (unit or "a") in _CURRENTS:
            found["current"] = at, _CURRENTS[unit or "a"]
    if len(found) < 2:
        raise RecordingError(
            f"{path}: line 1 names no time and current: expected Timestamp(ms),Current(uA) or #time,current"
        )
    return *found["time"], *found["current"]


def _bins(
    path: Path, lines: Iterator[str], columns: tuple[int, int], units: tuple[float, float]
) -> NDArray[np.float64]:
    """Means of a millisecond each; a bin without a sample has the one before."""
    sums: NDArray[np.float64] = np.zeros(0)
    counts: NDArray[np.float64] = np.zeros(0)
    began: float | None = None
    row = 2
    while chunk := list(itertools.islice(lines, _ROWS)):
        try:
            table = np.loadtxt(chunk, delimiter=",", usecols=columns, ndmin=2)
        except ValueError as error:
            raise RecordingError(
                f"{path}: between lines {row} and {row + len(chunk)} is no number ({error})"
            ) from error
        row += len(chunk)
        times = table[:, 0] * units[0]
        if began is None:
            began = float(times[0])
        at = ((times - began) / _BIN_S).astype(np.int64)
        if len(at) and (at.min() < 0 or at.max() >= _LONGEST_BINS):
            raise RecordingError(f"{path}: times run backwards, or over more than a day, before line {row}")
        size = max(len(sums), int(at.max()) + 1)
        sums = np.pad(sums, (0, size - len(sums))) + np.bincount(at, table[:, 1] * units[1], size)
        counts = np.pad(counts, (0, size - len(counts))) + np.bincount(at, minlength=size)
    if not len(sums):
        raise RecordingError(f"{path}: no samples behind line 1")
    known = counts > 0
    last = np.maximum.accumulate(np.where(known, np.arange(len(sums)), 0))
    means: NDArray[np.float64] = (sums / np.maximum(counts, 1))[last]
    return means


def measure(trace: Trace, threshold_ma: float) -> Measured:
    """Wakes are where the trace is above the threshold; what the record begins or ends in is left out.

    Raises RecordingError for fewer than two whole wakes.
    """
    above = trace.ma > threshold_ma
    edges = np.flatnonzero(np.diff(above.astype(np.int8)))
    begins = [int(edge) + 1 for edge in edges if not above[edge]]
    ends = [int(edge) + 1 for edge in edges if above[edge]]
    if above[0]:
        ends = ends[1:]
    wakes: list[list[int]] = []
    for begin, end in zip(begins, ends, strict=False):
        if wakes and (begin - wakes[-1][1]) * _BIN_S < _GAP_S:
            wakes[-1][1] = end
        else:
            wakes.append([begin, end])
    if len(wakes) < 2:
        raise RecordingError(
            f"{trace.source}: {len(wakes)} whole wakes above {threshold_ma:.3g} mA in {trace.seconds:.1f} s: "
            "record at least two measurements, from sleep to sleep"
        )
    first, last = wakes[0][0], wakes[-1][0]
    within = trace.ma[first:last]
    whole = wakes[:-1]
    awake = sum(end - begin for begin, end in whole)
    charge = sum(float(trace.ma[begin:end].sum()) for begin, end in whole) * _BIN_S
    asleep = float(within.sum()) * _BIN_S - charge
    count = len(whole)
    asleep_s = (last - first - awake) * _BIN_S
    return Measured(
        wakes=count,
        period_s=(last - first) * _BIN_S / count,
        awake_s=awake * _BIN_S / count,
        mas=charge / count,
        asleep_ma=asleep / asleep_s if asleep_s else 0.0,
        mean_ma=float(within.mean()),
    )
