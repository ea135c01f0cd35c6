"""The one rule for units: what multiplies a signal's numbers so that they are g, and how that is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from quaver.errors import RecordingError
from quaver.recordings.arrays import scalar
from quaver.recordings.contents import Contents, Options, ScaleError, Signal, UnitError
from quaver.recordings.units import G_PER_UNIT, is_voltage, maybe_rotation

_TOLERANCE = 0.01  # how far two statements about one scale may differ


def unit_of(path: Path, signal: Signal, contents: Contents, options: Options) -> tuple[str, str, float, float]:
    """(unit, how it is known, what each number is multiplied with, g a unit)."""
    scale = options.scale
    if scale is not None and (not math.isfinite(scale) or scale <= 0):
        raise ScaleError(f"{path}: scale {scale:g}: expected a positive number")
    if options.unit is not None and options.unit not in G_PER_UNIT:
        raise UnitError(f"{path}: unit {options.unit!r}: expected one of {', '.join(G_PER_UNIT)}")
    if contents.scale is not None:
        own = _own_scale(path, *contents.scale)
        if scale is not None and abs(own / scale - 1) > _TOLERANCE:
            raise ScaleError(f"{path}: {contents.scale[0]} is {own:g}, not {scale:g} g a count: leave the scale out")
        if options.unit not in (None, "lsb"):
            raise UnitError(f"{path}: holds counts of {own:g} g, not {options.unit}: leave the unit out")
        return "counts", contents.scale[0], own, 1.0
    name = signal.label
    said = signal.unit
    if said is not None and said in G_PER_UNIT and said != "lsb":
        if options.unit is not None and options.unit != said:
            raise UnitError(f"{path}: states that {name} is in {said}, not {options.unit}: leave the unit out")
        g = G_PER_UNIT[said] or 1.0
        if scale is not None and options.unit is None:
            if abs(scale / g - 1) > _TOLERANCE:
                raise ScaleError(
                    f"{path}: states that {name} is in {said}, {g:g} g a unit, not {scale:g}: leave the scale out, or "
                    "give the unit that it results in"
                )
            return said, "by the file", 1.0, g
        return said, "by the file", scale or 1.0, g
    if is_voltage(said):
        if scale is None:
            raise ScaleError(f"{path}: {name} is a voltage ({said}): give the sensor's scale, g for each {said}")
        return (options.unit or f"{said} to g"), "as given", scale, _given_unit(options.unit)
    if said is not None and said.startswith("?") and options.unit is None and scale is None:
        raise UnitError(f"{path}: {name} is in {said[1:]!r}, which is not a known unit: give its unit, or the scale")
    if said is None and contents.unit is not None and options.unit is None and scale is None:
        if contents.unit.startswith("?") or G_PER_UNIT.get(contents.unit) is None:
            raise UnitError(f"{path}: is in {contents.unit.lstrip('?')!r}: give its unit, or the scale")
        return contents.unit, contents.unit_source, 1.0, G_PER_UNIT[contents.unit] or 1.0
    whole = np.asarray(signal.values).dtype.kind in "iu"
    if signal.full_scale is not None:
        if options.unit == "lsb" and scale is not None:
            return "lsb", "as given", scale * signal.full_scale, 1.0
        if scale is None:
            raise ScaleError(
                f"{path}: holds whole numbers, parts of its full scale, and does not name their unit: "
                "give the acceleration at full scale as the scale"
            )
        return f"full scales of {scale:g} {options.unit or 'g'}", "as given", scale, _given_unit(options.unit)
    if (options.unit == "lsb" or said == "lsb") and scale is None:
        raise ScaleError(f"{path}: {name} is in counts (lsb): give the scale, g for each")
    if scale is not None:
        return (options.unit or "g"), "as given", scale, _given_unit(options.unit)
    if options.unit is not None:
        return options.unit, "as given", 1.0, _given_unit(options.unit)
    if whole:
        raise UnitError(
            f"{path}: {name} holds whole numbers without a unit: give its unit, or the scale, g for each count"
        )
    if maybe_rotation(signal.name):
        raise UnitError(f"{path}: {name} may be a rotation as well as acceleration: give its unit")
    return "g", "assumed", 1.0, 1.0


def _given_unit(unit: str | None) -> float:
    return 1.0 if unit is None else G_PER_UNIT[unit] or 1.0


def _own_scale(path: Path, key: str, value: Any) -> float:
    scale = scalar(path, key, value)
    if not 0 < scale < math.inf:
        raise RecordingError(f"{path}: {key} is {scale:g}: expected a positive number")
    return scale
