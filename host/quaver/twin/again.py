"""Judges again what a store has of a node beyond its features: waveforms, measured anew, and spectra of the envelope.

A waveform is what a node measured, or the first part of it. The device's code measures it under both configurations,
and its features under the node's own have to be those of its record. What it says of it is said of one measurement by
itself: nothing that was learned, and no other that agrees.

A spectrum record has the highest line in each of 256 bins: the device's code sees how a bearing's lines stand over
what is around them. It names no fault by that, and nor does this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaver.query.waveforms import Waveform
from quaver.store.spectra import Spectrum
from quaver.twin.device import Device
from quaver.twin.records import Measured
from quaver_wire.fields import LINES

STANDS = 4.0  # a height over the background that noise does not reach: of firmware/dsp/lines.py
_ALIKE = 0.005  # of a feature, and the step of its record
_COMPARED = ("rms_g", "kurtosis")


@dataclass(frozen=True)
class One:
    """What the device's code says of a measurement by itself. features: with units, as a record has them; levels: by
    feature, above 0; zone: 0 to 3; lines: of the bearing, as (name, Hz, evidence in dB)."""

    features: Mapping[str, Any]
    levels: Mapping[str, int]
    zone: int | None
    lines: Sequence[tuple[str, float, float]]


@dataclass(frozen=True)
class Remeasured:
    """A waveform, under the node's own configuration and as changed. of: samples of the measurement that it is of, and
    alike: whether its features are those of that record; None where there is no such record, or it is a part of it.
    """

    time_ms: int
    alarm: bool
    samples: int
    of: int | None
    alike: bool | None
    was: One
    would: One

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "was": vars(self.was), "would": vars(self.would)}


@dataclass(frozen=True)
class Stood:
    """In how many spectra of the envelope a line of the bearing stands out; None where no bearing is known."""

    line: str
    spectra: int
    was: int | None
    would: int | None


def remeasured(
    own: Device,
    other: Device,
    config: Mapping[str, Any],
    changes: Mapping[str, Any],
    waveforms: Sequence[Waveform],
    measured: Sequence[Measured],
) -> list[Remeasured]:
    """own: the code of the node; other: that which judges as changed. Raises WhatIfError."""
    found = []
    for waveform in waveforms:
        was = One(*own.measure(config, {}, waveform))
        would = One(*other.measure(config, changes, waveform))
        record = _record(waveform, measured)
        of = record.values.get("samples") if record else None
        alike = None
        if record is not None and of == waveform.samples:
            alike = all(_close(was.features[name], record.values.get(name)) for name in _COMPARED)
        time_ms = record.time_ms if record else waveform.time_ms
        found.append(Remeasured(time_ms, waveform.before is None, waveform.samples, of, alike, was, would))
    return found


def _record(waveform: Waveform, measured: Sequence[Measured]) -> Measured | None:
    here = [one for one in measured if one.boot == waveform.boot]
    if waveform.before is None:
        return next((one for one in here if one.uptime_ms == waveform.uptime_ms), None)
    return max((one for one in here if one.seq < waveform.before), key=lambda one: one.seq, default=None)


def _close(mine: float, recorded: float | None) -> bool:
    return recorded is not None and abs(mine - recorded) <= _ALIKE * abs(recorded) + 0.01 * (abs(recorded) > 1)


def stood(
    own: Device, other: Device, config: Mapping[str, Any], changes: Mapping[str, Any], spectra: Sequence[Spectrum]
) -> list[Stood]:
    """Of each of the bearing's lines. spectra: those whose record says the speed. Raises WhatIfError."""
    before, after = own.lines(config, {}, spectra), other.lines(config, changes, spectra)
    return [Stood(line, len(spectra), _count(before, at), _count(after, at)) for at, line in enumerate(LINES)]


def _count(rows: Sequence[Sequence[tuple[float, float]]] | None, line: int) -> int | None:
    return None if rows is None else sum(row[line][1] > STANDS for row in rows)
