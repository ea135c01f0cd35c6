"""Which column is time or an index, whatever its name, and the sampling rate that it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.contents import Rate
from quaver.recordings.units import bare_name, time_unit_in

_TIME_NAME = re.compile(
    r"(^|[^a-z])(time|timestamps?|timecode|zeit\w*|temps|tiempo|tempo|tijd|datum|date\w*|elapsed|uptime|seconds|sekunden|"
    r"epoch|clock|uhrzeit|x_?value\w*|millis|micros|nanos|sec|secs|msec|usec|t_?(s|ms|us|ns))($|[^a-z])|^(t|s|ms|us|µs|ns)$"
)
# Since 2000 and before 2096, as seconds, ms, µs or ns since 1970: (least, most, seconds a unit).
_EPOCHS = tuple((9.4e8 * 10**power, 4.0e9 * 10**power, 10.0**-power) for power in (0, 3, 6, 9))
UNITS_S = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
# What accelerometers are sampled at; between several units of time only one may give a rate in here.
PLAUSIBLE_HZ = (50.0, 200_000.0)
_STEADY = 0.01  # how far one step may be from the median one
_MOSTLY = 0.95
_WRAPPING = 0.75  # of a counter's steps are its usual one; the others take it back to its start
_LEAST_EDGES = 10


@dataclass(frozen=True)
class Axis:
    """What a column is in place of a signal. kind: "time", "index", or "rising" (it never falls, and is neither).

    rate: what it gives; spacing: its mean step where its unit of time is not known. note: said to a person, if any.
    """

    kind: str
    rate: Rate | None = None
    spacing: float | None = None
    note: str = ""


def is_time_name(name: str) -> bool:
    """Whether a column's name says time."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare_name(name)).lower().strip()
    return bool(_TIME_NAME.search(plain))


def judge(
    name: str, label: str, values: NDArray[Any], row: Any, *, quantum: float = 0.0, stamps: bool = False
) -> Axis | None:
    """What a column is that is no signal; None for a signal.

    values: shape (n,), finite numbers; exact integers as int64. row: number of a value -> "line 7", for messages.
    quantum: the last digit's step as written. stamps: the values are seconds from time stamps.
    Raises RecordingError for time that goes back, for gaps and for uneven sampling.
    """
    if len(values) < 3:
        return None
    steps = np.diff(values).astype(np.float64)
    if not steps.any():
        return None
    named = stamps or is_time_name(name)
    epoch = None if stamps else _epoch(values)
    quantum = max(
        quantum, 2 * float(np.spacing(np.abs(values.astype(np.float64)).max())) if values.dtype.kind == "f" else 0.0
    )
    whole = values.dtype.kind in "iu" or bool((values == np.round(values)).all())
    unit = 1.0 if stamps else time_unit_in(name) if named else None
    counter = _counter(label, values, steps, row) if whole and not named else None
    if counter is not None and epoch is None:
        return counter
    middle = float(np.median(steps))
    steady = (
        middle > 0
        and float(np.mean(np.abs(steps - middle) <= max(_STEADY * middle, min(quantum * 1.01, 0.5 * middle))))
        >= _MOSTLY
    )
    falls = np.flatnonzero(steps < 0)
    if falls.size:
        if steady or (named and falls.size <= (1 - _MOSTLY) * len(steps)):
            raise RecordingError(
                f"the time in {label} goes back at {row(int(falls[0]) + 1)}: several recordings in one file; "
                "save each as a file of its own"
            )
        return None  # a signal, whatever it is called
    if steady or named or epoch is not None:
        if whole and middle == 1 and steady and unit is None and epoch is None and bool((steps == 1).all()):
            return Axis("index")
        return _time(label, values, steps=steps, row=row, quantum=quantum, unit=unit if unit is not None else epoch)
    return Axis("rising", note=f"{label} never falls: it was taken neither for a signal nor for time")


def _epoch(values: NDArray[Any]) -> float | None:
    """Seconds a unit, if the values lie where time since 1970 does."""
    low, high = float(values.min()), float(values.max())
    return next((unit for least, most, unit in _EPOCHS if least <= low and high <= most), None)


def _counter(label: str, values: NDArray[Any], steps: NDArray[np.float64], row: Any) -> Axis | None:
    """A number of samples that counts up or down, and may wrap. Raises RecordingError where it leaves some out."""
    found, counts = np.unique(steps, return_counts=True)
    step = float(found[counts.argmax()])
    if step == 0:
        return None
    others = found[found != step]
    span = float(values.max()) - float(values.min()) + abs(step)
    share = counts.max() / len(steps)
    wraps = others.size == 1 and others[0] == step - np.sign(step) * span and share >= _WRAPPING
    if others.size == 0 or wraps:
        return Axis("index")
    if share < _MOSTLY:
        return None
    at = int(np.flatnonzero(steps != step)[0]) + 1
    raise RecordingError(
        f"{label} counts in steps of {step:g} and jumps by {steps[at - 1]:g} at {row(at)}: rows are missing; "
        "give a recording without a gap"
    )


def _time(
    label: str, values: NDArray[Any], steps: NDArray[np.float64], row: Any, quantum: float, unit: float | None
) -> Axis:
    edges = np.flatnonzero(steps > 0) + 1
    rising = steps[steps > 0]
    usual = float(np.median(rising))
    tolerance, note = 0.0, ""
    coarse = len(rising) < len(steps)
    if coarse:
        # Several rows share a stamp. From edge to edge a whole number of stamps has gone by.
        first, last = int(edges[0]), int(edges[-1])
        if len(edges) < _LEAST_EDGES:
            return Axis("time", note=f"the time in {label} is too coarse to give a rate")
        step = float(values[last] - values[first]) / (last - first)
        tolerance = usual / float(values[last] - values[first])
        note = f"its stamps are coarser than its samples, so the rate is their mean, to {max(tolerance, 1e-4):.2%}"
    else:
        step = float(values[-1] - values[0]) / len(steps)
    residual = (values - values[0]).astype(np.float64) - step * np.arange(len(values))
    slack = max(1.5 * step, 2 * quantum)
    gap = np.flatnonzero(steps > (1.5 * usual + 2 * quantum))
    if gap.size and (not coarse or np.ptp(residual) > 3 * usual):
        at = int(gap[0])
        raise RecordingError(
            f"the time in {label} jumps by {steps[at]:.6g} at {row(at + 1)}, where {usual:.6g} is its step: "
            "rows are missing; give a recording without a gap"
        )
    if coarse and np.ptp(residual) > 3 * usual:
        raise RecordingError(
            f"the time in {label} passes unevenly over its rows: it has no single rate; record at an even rate"
        )
    if not coarse:
        low, high = float(rising.min()), float(rising.max())
        if low < 0.5 * usual - 2 * quantum:
            raise RecordingError(
                f"the time in {label} has steps of {low:.6g} to {high:.6g}: sampled unevenly; record at an even rate"
            )
        if high - low > max(0.02 * usual, 2.01 * quantum):
            note = f"its steps are {low:.6g} to {high:.6g}, so the rate is their mean and spectra are smeared"
        if np.ptp(residual) > slack or high - low > 0.02 * usual:
            tolerance = max(tolerance, quantum / float(values[-1] - values[0]))
    if tolerance > 0.01:
        return Axis("time", note=f"the time in {label} is too coarse to give a rate")
    if unit is None:
        return Axis("time", spacing=step, note=note)
    return Axis("time", Rate(1 / (step * unit), label, tolerance), note=note)
