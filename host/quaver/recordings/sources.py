"""What an emulated accelerometer measures: a recording, several in turn, or a modelled machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.axes import on_sensor, sensor_axes
from quaver.recordings.machine import Bearing, Machine
from quaver.recordings.motor import MotorCurrent
from quaver.recordings.recording import Recording
from quaver.recordings.resample import resample

__all__ = ["Bearing", "Machine", "MotorCurrent", "Playlist", "RecordingSource", "Source"]

# Both terms of the ratio of two rates stay below it: more would lengthen the filter to correct an error of 1e-6.
_MOST_PHASES = 1 << 15
_STEP_S = 1.0


class Source(Protocol):
    """Acceleration over time. Pure: the same question has the same answer, in any order, in any process."""

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        """`count` samples, shape (count, 3): x, y, z in g.

        capture: how many times the sensor's stream was started before (0, 1, 2, …). rate_hz: the sensor's output
        data rate. first: the first wanted sample, counted from this start of the stream.
        """
        ...


@dataclass(eq=False)
class RecordingSource:
    """A recording, resampled once to each rate that it is asked for.

    One axis alone goes to z (x and y are 0), several to the axes that their names say (`axes.sensor_axes`), of which
    one must be z. It starts again at its end, without a cross-fade: its ends run out to 0 over the resampling
    filter's length, ten samples of the lower rate. Capture k starts k seconds further on, so that each sees other
    samples as long as there are any. Raises ChannelError where a signal has to be chosen.
    """

    recording: Recording
    _places: list[int] = field(init=False, repr=False)
    _resampled: dict[float, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._places = sensor_axes(self.recording.name, self.recording.axes, self.recording.acceleration.shape[1])

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        signal = self._at_rate(rate_hz)
        start = round(capture * _STEP_S * rate_hz) + first
        if start % len(signal) + count <= len(signal):
            start %= len(signal)
            return signal[start : start + count]
        return signal.take(np.arange(start, start + count), axis=0, mode="wrap")

    def _at_rate(self, rate_hz: float) -> NDArray[np.float32]:
        found = self._resampled.get(rate_hz)
        if found is None:
            found = self._resampled[rate_hz] = _resample(self.recording, rate_hz, self._places)
        return found

    def __getstate__(self) -> dict[str, Any]:
        # The other process makes its own: a recording is small, its resampled copies are not.
        return {**self.__dict__, "_resampled": {}}


def _resample(recording: Recording, rate_hz: float, places: Sequence[int]) -> NDArray[np.float32]:
    """The recording at another rate, shape (n, 3), by a polyphase anti-alias filter."""
    exact = Fraction(rate_hz) / Fraction(recording.rate_hz)
    ratio = exact.limit_denominator(max(1, int(_MOST_PHASES / max(float(exact), 1.0))))
    signal = recording.acceleration
    if ratio != 1:
        if ratio > _MOST_PHASES or ratio * len(signal) < 1:
            raise RecordingError(f"{recording.name}: can't be resampled from {recording.rate_hz:g} to {rate_hz:g} Hz")
        signal = resample(signal, ratio.numerator, ratio.denominator)
        # The filter makes one sample beyond the end where the ratio does not divide the length.
        signal = signal[: max(1, int(len(recording.acceleration) * ratio))]
    full = on_sensor(signal, places)
    full.flags.writeable = False
    return full


class Playlist:
    """Sources one after another: the first for so many captures, then the next; the last one goes on for ever.

    parts: (source, captures), captures None or any number for the last. Each source counts its captures from 0.
    """

    def __init__(self, parts: Sequence[tuple[Source, int | None]]) -> None:
        if not parts:
            raise RecordingError("a playlist of nothing: give it a recording")
        for _, captures in parts[:-1]:
            if captures is None or captures < 1:
                raise RecordingError(f"a playlist's part of {captures} captures: expected 1 or more before the last")
        self._parts = tuple(parts)

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        for source, captures in self._parts[:-1]:
            if captures is not None and capture < captures:
                return source.samples(capture, rate_hz, first, count)
            capture -= captures or 0
        return self._parts[-1][0].samples(capture, rate_hz, first, count)
