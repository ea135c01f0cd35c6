"""Named arrays in memory, whatever file they came from: which are signals, and what the others state about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.contents import ChannelError, Contents, Options, Rate, Signal
from quaver.recordings.time_axis import Axis, judge
from quaver.recordings.units import unit_in, unit_named

_SHORTEST = 64
_MOST_AXES = 3
_FEWEST_RECORDS = 16  # fewer rows than that may as well be channels
_RATES = ("fs", "sr", "f_s", "samplerate", "sample_rate", "samplingrate", "sampling_rate", "samplingfrequency",
          "sampling_frequency", "sample_frequency", "samplefrequency", "rate_hz", "fs_hz")  # fmt: skip
_STEPS = ("dt", "increment", "delta_x", "wf_increment", "sample_interval", "sampling_interval")
_RPMS = ("rpm", "shaft_rpm", "speed_rpm")
_UNITS = ("unit", "units", "y_unit", "unit_string")


def scalar(path: Path, key: str, value: Any) -> float:
    """The one number that an array or a value holds. Raises RecordingError for any other."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf":
        what = f"{array.size} values" if array.dtype.kind in "iuf" else f"{str(value)[:20]!r}"
        raise RecordingError(f"{path}: {key} is {what}: expected one number")
    return float(array.reshape(-1)[0])


def read_arrays(path: Path, arrays: Mapping[str, Any], options: Options, named: bool = True) -> Contents:
    """Contents of a file of arrays.

    1-D arrays of 64 values or more are signals, as are (n, 1), (1, n), and, an axis each, (n, 3) and (3, n); with
    more rows a row is a record (`t`: their start times). A steady array is time or an index. fs or dt, rpm,
    g_per_lsb, unit and temperature say the rest; a key's last part counts ("Signal.x_values.increment").
    named: whether the keys are names that a person gave.
    """
    contents = Contents([])
    for key, value in arrays.items():
        last = key.rpartition(".")[2].rpartition("/")[2].lower()
        if last in _RATES:
            contents.rates.append(_stated(path, key, value, options, inverse=False))
        elif last in _STEPS:
            contents.rates.append(_stated(path, key, value, options, inverse=True))
        elif last in _RPMS:
            contents.rpm = (key, value)
        elif last == "g_per_lsb":
            contents.scale = (key, value)
        elif last in _UNITS and np.asarray(value).size == 1:
            text = _text(value)
            contents.unit = unit_named(text) or (f"?{text}" if text else None)
            contents.unit_source = key
    contents.rates = [rate for rate in contents.rates if rate.hz]
    starts = np.asarray(arrays["t"]) if "t" in arrays else None
    temperature = arrays.get("temperature")
    if temperature is not None and np.asarray(temperature).ndim == 2 and np.asarray(temperature).shape[0] == 2:
        contents.temperature = np.asarray(temperature).T
    else:
        temperature = None
    signals = _signals(path, arrays, starts=starts, options=options, contents=contents, named=named)
    if options.record is not None:
        _one_record_temperature(contents, starts, options.record)
    contents.signals = signals
    return contents


def _text(value: Any) -> str:
    flat = np.asarray(value).reshape(-1)[0]
    return flat.decode(errors="replace") if isinstance(flat, bytes) else str(flat)


def _stated(path: Path, key: str, value: Any, options: Options, inverse: bool) -> Rate:
    """The rate in a file; one that is none does not matter where the caller gives another."""
    try:
        number = scalar(path, key, value)
    except RecordingError:
        if options.rate is not None:
            return Rate(0.0, key)
        raise
    if inverse:
        number = 1 / number if number else float("nan")
    return Rate(number, key)


def _signals(
    path: Path,
    arrays: Mapping[str, Any],
    starts: NDArray[Any] | None,
    options: Options,
    contents: Contents,
    named: bool,
) -> list[Signal]:
    signals: list[Signal] = []
    foreign: list[str] = []
    for key, value in arrays.items():
        array = np.asarray(value)
        # np.ndim first: a key that was understood above is no signal
        if (
            array.size < 2
            or key == "temperature"
            or contents_key(key)
            or (key == "t" and array.ndim == 1 and array.size < _SHORTEST)
        ):
            continue
        if array.dtype.kind not in "iuf":
            if array.size >= _SHORTEST or options.channel == key:
                foreign.append(f"{key} holds {array.dtype}, not real numbers")
            continue
        if starts is not None and value is starts and _has_records(arrays, len(starts)):
            contents.not_signals[key] = "when each record began"
            continue
        if array.ndim > 2 and min(array.shape) == 1:
            array = array.squeeze()
        if array.ndim > 2:
            foreign.append(f"{key} has {array.ndim} dimensions, expected 1 or 2")
            continue
        if array.ndim == 2 and 1 in array.shape:
            array = array.reshape(-1)
        if options.channel is not None and options.channel in arrays and key != options.channel:
            contents.not_signals[key] = "another channel"
            continue
        each = None
        if array.ndim == 1:
            parts = [array]
        else:
            parts, each = _two_dimensional(path, key, array, starts, options)
        if each is not None:
            contents.record_samples = each if options.record is None else None
        for at, part in enumerate(parts):
            name = (key if len(parts) == 1 else f"{key}[{at}]") if named else ""
            if (
                len(parts) == 1
                and each is None
                and len(part) >= _SHORTEST
                and part.dtype.kind != "b"
                and np.isfinite(part).all()
            ):
                axis = _axis(path, key if named else "", name, part)
                if axis is not None:
                    what = {"time": "the time", "index": "an index"}.get(axis.kind, "neither a signal nor time")
                    _leave_out(contents, key, axis, what)
                    if axis.note:
                        contents.notes.append(axis.note)
                    continue
            if (
                len(parts) > 1
                and np.isfinite(part).all()
                and (axis := _axis(path, "", f"{key}[{at}]", part)) is not None
            ):
                _leave_out(contents, f"{key}[{at}]", axis, "the time" if axis.kind == "time" else "an index")
                continue
            signals.append(Signal(name, part, len(signals), unit_in(key) if named else None))
    if (
        options.record not in (None, 0)
        and contents.record_samples is None
        and not any(np.ndim(a) == 2 and 1 not in np.shape(a) for a in arrays.values())
    ):
        raise RecordingError(f"{path}: has no record {options.record}: it has one, record 0")
    long = [signal for signal in signals if len(signal.values) >= _SHORTEST]
    signals = long or signals
    lengths = {len(signal.values) for signal in signals}
    if not signals and foreign:
        raise ChannelError(f"{path}: {foreign[0]}: choose another channel")
    if len(lengths) > 1 and options.channel is None:
        names = ", ".join(signal.label for signal in signals)
        raise ChannelError(f"{path}: its channels {names} differ in length: choose one")
    return signals


def _leave_out(contents: Contents, label: str, axis: Axis, what: str) -> None:
    """Take `axis` for no signal, and for what it says of the sampling rate."""
    contents.not_signals[label] = what
    if axis.rate:
        contents.rates.append(axis.rate)
    if axis.spacing:
        contents.spacings.append((label, axis.spacing))


def _has_records(arrays: Mapping[str, Any], count: int) -> bool:
    """Whether an array has so many records, each of more samples than a signal has axes."""
    return any(np.ndim(a) == 2 and len(a) == count and np.shape(a)[1] > _MOST_AXES for a in arrays.values())


def contents_key(key: str) -> bool:
    """Whether a key says something of the signals, and is none itself."""
    return key.rpartition(".")[2].rpartition("/")[2].lower() in (*_RATES, *_STEPS, *_RPMS, *_UNITS, "g_per_lsb")


def _axis(path: Path, key: str, label: str, values: NDArray[Any]) -> Any:
    exact = values.astype(np.int64) if values.dtype.kind in "iu" else values.astype(np.float64)
    # Names of one letter say nothing here: `t` and `s` may be anything.
    try:
        return judge(key, label or "the array", exact, lambda at: f"sample {at}")
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None


def _two_dimensional(
    path: Path, key: str, array: NDArray[Any], starts: NDArray[Any] | None, options: Options
) -> tuple[list[NDArray[Any]], int | None]:
    """(signals, samples of a record, None without records) of an array."""
    rows, columns = array.shape
    recorded = starts is not None and starts.ndim == 1 and len(starts) == rows
    if not recorded and columns <= _MOST_AXES < rows:
        return [array[:, at] for at in range(columns)], None
    if not recorded and rows <= _MOST_AXES:
        return [array[at] for at in range(rows)], None
    unclear = not recorded and (columns <= _FEWEST_RECORDS or rows <= _FEWEST_RECORDS)
    if unclear and options.record is None:
        raise ChannelError(
            f"{path}: {key} is {rows} x {columns}: its rows may be records or channels; save each channel as "
            "an array of its own"
        )
    if options.record is not None:
        if not 0 <= options.record < rows:
            raise RecordingError(f"{path}: has no record {options.record}: it has {rows}, from 0")
        return [array[options.record]], columns
    return [array.reshape(-1)], columns


def _one_record_temperature(contents: Contents, starts: NDArray[Any] | None, record: int) -> None:
    """The temperature at the start of that record."""
    if contents.temperature is not None and starts is not None and record < len(starts):
        at = float(starts[record])
        contents.temperature = np.array([[at, np.interp(at, contents.temperature[:, 0], contents.temperature[:, 1])]])
