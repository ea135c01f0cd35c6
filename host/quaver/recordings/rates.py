"""The one rule for sampling rates: what a file states, its time columns and the caller must agree."""

from __future__ import annotations

import math
from pathlib import Path

from quaver.errors import RecordingError
from quaver.recordings.contents import Contents, RateError
from quaver.recordings.time_axis import PLAUSIBLE_HZ, UNITS_S

_RATES_HZ = (50.0, 2_000_000.0)
_TOLERANCE = 0.01  # how far two statements about one rate may differ


def rate_of(path: Path, contents: Contents, given: float | None) -> tuple[float, str]:
    """(the sampling rate, how it is known); all statements must agree."""
    low, high = _RATES_HZ
    if given is not None and not low <= given <= high:  # NaN too
        raise RateError(f"{path}: a sampling rate of {given:g} Hz: expected {low:g} to {high:g} Hz")
    rates = sorted(contents.rates, key=lambda rate: rate.tolerance)
    for rate in rates:
        if not low <= rate.hz <= high:
            raise RecordingError(
                f"{path}: a sampling rate of {rate.hz:g} Hz, by {rate.source}: expected {low:g} to {high:g} Hz"
            )
        if given is not None and abs(rate.hz / given - 1) > _TOLERANCE:
            raise RateError(
                f"{path}: was sampled at {rate.hz:.7g} Hz (by {rate.source}), not at {given:g} Hz: leave the rate out"
            )
    for rate in rates[1:]:
        if abs(rate.hz / rates[0].hz - 1) > _TOLERANCE:
            raise RecordingError(
                f"{path}: was sampled at {rates[0].hz:.7g} Hz by {rates[0].source} and at {rate.hz:.7g} Hz by "
                f"{rate.source}: correct the file"
            )
    known = rates[0].hz if rates else given
    for column, step in contents.spacings:
        known = _spaced(path, column, step, known)
    if known is None:
        raise RateError(f"{path}: does not state its sampling rate: give it in Hz")
    if rates:
        if rates[0].tolerance > 1e-3 and given is not None:
            return given, "as given"
        about = "about, " if rates[0].tolerance else ""
        return rates[0].hz, f"{about}by {rates[0].source}"
    if given is not None:
        return given, "as given"
    return (
        known,
        f"by {contents.spacings[0][0]}, as its unit can be none but {_unit_of_time(contents.spacings[0][1], known)}",
    )


def _spaced(path: Path, column: str, step: float, known: float | None) -> float:
    """The rate that a time column without a unit gives, beside what is known already."""
    rates = [1 / (step * seconds) for seconds in (*UNITS_S.values(), 60.0, 3600.0, 86400.0)]
    low, high = PLAUSIBLE_HZ
    plausible = [rate for rate in rates[:4] if low <= rate <= high]
    if known is not None:
        if any(abs(rate / known - 1) <= _TOLERANCE for rate in rates):
            return known
        nearest = min(plausible or rates, key=lambda rate: abs(math.log(rate / known)))
        raise RateError(
            f"{path}: was sampled at {nearest:.7g} Hz (by {column}, in steps of {step:.6g}), not at {known:g} Hz: "
            "leave the rate out"
        )
    if len(plausible) != 1:
        ways = " or ".join(
            f"{rate:.6g} Hz ({unit})" for unit, rate in zip(UNITS_S, rates, strict=False) if rate in plausible
        )
        raise RateError(
            f"{path}: {column} is time in steps of {step:.6g} without a unit"
            + (
                f", which may be {ways}: give the rate"
                if ways
                else ", which no unit makes a likely rate: give it in Hz"
            )
        )
    return plausible[0]


def _unit_of_time(step: float, rate: float) -> str:
    return next(unit for unit, seconds in UNITS_S.items() if abs(1 / (step * seconds) / rate - 1) <= _TOLERANCE)
