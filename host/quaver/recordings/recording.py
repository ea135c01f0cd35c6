"""One recording in memory, and the way from any file to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError

if TYPE_CHECKING:
    from quaver.recordings.readers import Raw

_RATES_HZ = (50.0, 2_000_000.0)
_SHORTEST = 64  # samples; less than any block that a node measures
_RATE_TOLERANCE = 1e-3
# What to do about a file that its format's reader gives up on.
_REMEDIES = {
    ".csv": "save it anew as columns of numbers, in UTF-8",
    ".mat": "save it anew with MATLAB's -v7, or as .npz",
    ".npz": "write it anew with numpy.savez",
    ".wav": "save it anew as PCM or float",
}


class ChannelError(RecordingError):
    """A recording of which another signal has to be chosen: the `channel` of `load`."""


class RateError(RecordingError):
    """A sampling rate that is missing or wrong: the `rate` of `load`."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Vibration of a machine.

    acceleration: float32, shape (samples, axes) with 1 to 3 axes, in g. rate_hz: samples a second.
    rpm: the shaft's speed, None if unknown. temperature: shape (n, 2), seconds and °C, None if unknown.
    record_samples: the length of each of a file's records, which follow each other with gaps; None for one in a row.
    """

    name: str
    acceleration: NDArray[np.float32]
    rate_hz: float
    rpm: float | None = None
    temperature: NDArray[np.float32] | None = None
    record_samples: int | None = None

    @property
    def temperature_c(self) -> float | None:
        """Mean temperature in °C, None if unknown."""
        return None if self.temperature is None else float(self.temperature[:, 1].mean())


def load(
    path: str | Path,
    *,
    channel: str | None = None,
    rate: float | None = None,
    record: int | None = None,
    scale: float = 1.0,
) -> Recording:
    """Read a recording: .npz, .mat (CWRU and MFPT), .csv or .wav.

    channel: which signal of a file with several: a key of an .npz ("horizontal"), "DE", "FE" or "BA" of a CWRU
    .mat, a column of a .csv by name or by number from 0, a .wav's channel from 0; without it every axis of an
    .npz and of a .wav or .csv of up to three, and the drive end ("DE").
    rate: Hz, for files that do not say (.csv, CWRU .mat); with others it must agree.
    record: one record, from 0, of a file of several (PRONOSTIA); without it all in a row.
    scale: g a unit, for files that do not say (.csv, and .wav where an integer's full scale is 1).

    Raises RecordingError; of it ChannelError and RateError where another channel or rate is the way out.
    """
    from quaver.recordings.readers import READERS, Wanted

    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(f"{path}: can't be read: expected a file named {', '.join(sorted(READERS))}")
    if not path.is_file():
        raise RecordingError(f"{path}: is no file: check the name")
    if path.stat().st_size == 0:
        raise RecordingError(f"{path}: is empty: record it again or fetch it anew")
    try:
        raw = reader(path, Wanted(channel, record))
    except RecordingError:
        raise
    # The readers of other people's formats fail in ways of their own; all mean the same to a person.
    except Exception as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        suffix = path.suffix.lower()
        raise RecordingError(
            f"{path}: is not a readable {suffix[1:]} recording: {reason}; {_REMEDIES[suffix]}"
        ) from error
    return _checked(path, raw, rate, scale)


def _checked(path: Path, raw: Raw, rate: float | None, scale: float) -> Recording:
    """Hold what a file gave against what a signal must be."""
    samples = np.asarray(raw.samples)
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    if samples.dtype.kind not in "iuf":
        raise ChannelError(f"{path}: holds {samples.dtype}, not real numbers: choose another channel")
    if samples.ndim > 2:
        raise ChannelError(f"{path}: its signal has {samples.ndim} dimensions, expected 1 or 2: choose another channel")
    if not math.isfinite(scale) or scale <= 0:
        raise RecordingError(f"{path}: scale {scale} g a unit: expected a positive number")
    if len(samples) < _SHORTEST:
        raise RecordingError(f"{path}: has {len(samples)} samples: expected at least {_SHORTEST}")
    if not 1 <= samples.shape[1] <= 3:
        raise ChannelError(f"{path}: has {samples.shape[1]} channels: choose one")
    acceleration = (samples * (raw.g_per_unit or scale)).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(acceleration).all(axis=1))
    if bad.size:
        raise RecordingError(f"{path}: {bad.size} samples are NaN or infinite, the first is {bad[0]}: mend the file")
    temperature = None if raw.temperature is None else np.asarray(raw.temperature, dtype=np.float32)
    return Recording(path.stem, acceleration, _rate(path, raw.rate_hz, rate), raw.rpm, temperature, raw.record_samples)


def _rate(path: Path, own: float | None, given: float | None) -> float:
    """The sampling rate, from the file or from the caller; both must agree."""
    low, high = _RATES_HZ
    for rate, kind in ((own, RecordingError), (given, RateError)):
        if rate is not None and not low <= rate <= high:  # NaN too
            raise kind(f"{path}: a sampling rate of {rate:g} Hz: expected {low:g} to {high:g} Hz")
    if own is None and given is None:
        raise RateError(f"{path}: does not say its sampling rate: give it in Hz")
    if own is not None and given is not None and abs(own / given - 1) > _RATE_TOLERANCE:
        raise RateError(f"{path}: was sampled at {own:g} Hz, not at {given:g} Hz: leave the rate out")
    return float(own if own is not None else given or 0.0)
