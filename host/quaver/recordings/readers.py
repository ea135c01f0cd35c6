"""One reader a file format; each hands on what the file says, unchecked."""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.recording import ChannelError

# Names of a signal in an .npz, in the order of the axes.
_NPZ_SIGNALS = ("x", "horizontal", "vertical")
_CWRU_NAME = re.compile(r"X(\d{3})_?(DE|FE|BA)_time")  # drive end, fan end, base
_TIME_COLUMNS = ("time", "t", "timestamp", "seconds", "s")


@dataclass(frozen=True)
class Wanted:
    """Which part of a file the caller wants."""

    channel: str | None
    record: int | None


@dataclass(frozen=True)
class Raw:
    """What a file says: samples (n,) or (n, axes); None for what it does not say."""

    samples: NDArray[Any]
    rate_hz: float | None = None
    g_per_unit: float | None = None
    rpm: float | None = None
    temperature: NDArray[Any] | None = None
    record_samples: int | None = None  # where the file is of several records: how long each is


def read_npz(path: Path, wanted: Wanted) -> Raw:
    """Keys x or horizontal (and vertical), fs, and g_per_lsb for integers; rpm, t and temperature if known.

    A 2-D signal has the shape (records, samples), record i taken at t[i] seconds; temperature is (2, n): s, °C.
    """
    if not zipfile.is_zipfile(path):
        raise RecordingError(f"{path}: is no .npz file: write it with numpy.savez")
    with np.load(path, allow_pickle=False) as file:
        data = {key: file[key] for key in file.files}
    known = [key for key in _NPZ_SIGNALS if key in data]
    if wanted.channel is not None:
        if wanted.channel not in data:
            raise ChannelError(f"{path}: has no channel {wanted.channel!r}: it has {', '.join(known) or 'none'}")
        known = [wanted.channel]
    if not known:
        raise ChannelError(f"{path}: holds none of {', '.join(_NPZ_SIGNALS)}: name its channel")
    lengths = {data[key].shape for key in known}
    if len(lengths) > 1:
        raise ChannelError(f"{path}: its channels {', '.join(known)} differ in length: choose one")
    signals = [data[key] for key in known]
    if signals[0].ndim > 2:
        raise ChannelError(
            f"{path}: {known[0]} has {signals[0].ndim} dimensions: expected samples, or rows of them; "
            "choose another channel"
        )
    scale = _number(data, "g_per_lsb")
    if scale is None and any(signal.dtype.kind in "iu" for signal in signals):
        raise RecordingError(f"{path}: holds integers without g_per_lsb: add that key")
    if scale is not None and not 0 < scale < math.inf:
        raise RecordingError(f"{path}: g_per_lsb is {scale:g}: expected a positive number")
    temperature = data.get("temperature")
    if temperature is not None:
        temperature = temperature.T
    if wanted.record is not None:
        signals, temperature = _one_record(path, wanted.record, signals, data.get("t"), temperature)
    samples = np.stack([signal.reshape(-1) for signal in signals], axis=1)
    several = signals[0].ndim == 2 and wanted.record is None
    each = signals[0].shape[1] if several else None
    return Raw(samples, _number(data, "fs"), scale, _number(data, "rpm"), temperature, each)


def _one_record(
    path: Path,
    record: int,
    signals: list[NDArray[Any]],
    starts: NDArray[Any] | None,
    temperature: NDArray[Any] | None,
) -> tuple[list[NDArray[Any]], NDArray[Any] | None]:
    """Row `record` of each signal, and the temperature at its start."""
    count = len(signals[0]) if signals[0].ndim == 2 else 1
    if not 0 <= record < count:
        raise RecordingError(f"{path}: has no record {record}: it has {count}, from 0")
    if signals[0].ndim == 2:
        signals = [signal[record] for signal in signals]
        if temperature is not None and starts is not None:
            at = float(starts[record])
            temperature = np.array([[at, np.interp(at, temperature[:, 0], temperature[:, 1])]])
    return signals, temperature


def read_mat(path: Path, wanted: Wanted) -> Raw:
    """A MATLAB file of the MFPT set (a struct `bearing`) or of Case Western (X097_DE_time, X097RPM)."""
    import scipy.io

    _only_one_record(path, wanted)
    data = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    if "bearing" in data:
        if wanted.channel is not None:
            raise ChannelError(f"{path}: has one channel: leave the channel out")
        bearing = data["bearing"]
        # "rate" is the shaft's speed in Hz; gs are in g.
        return Raw(
            samples=np.atleast_1d(bearing.gs),
            rate_hz=float(bearing.sr),
            g_per_unit=1.0,
            rpm=60.0 * float(bearing.rate),
        )
    return _cwru(path, wanted, data)


def _cwru(path: Path, wanted: Wanted, data: Mapping[str, Any]) -> Raw:
    """Case Western: acceleration in g; the rate (12 or 48 kHz) stands in the download page alone."""
    signals = {match[0]: match for match in map(_CWRU_NAME.fullmatch, data) if match}
    if not signals:
        raise RecordingError(f"{path}: is neither an MFPT nor a CWRU file: it has no bearing and no X…_DE_time")
    channel = wanted.channel or "DE"
    if channel in signals:
        names = [channel]
    else:
        names = [name for name, match in signals.items() if match[2] == channel.upper()]
    # Some of these files carry a neighbour's signals too (99.mat has those of 98): the file's own name decides.
    number = "".join(re.findall(r"\d+", path.stem)).zfill(3)
    own = [name for name in names if signals[name][1] == number]
    names = own or names
    if len(names) != 1:
        raise ChannelError(f"{path}: channel {channel!r} is not one signal: expected one of {', '.join(signals)}")
    return Raw(
        samples=np.atleast_1d(data[names[0]]),
        g_per_unit=1.0,
        rpm=_number(data, f"X{signals[names[0]][1]}RPM"),
    )


def read_csv(path: Path, wanted: Wanted) -> Raw:
    """Columns of numbers divided by comma, semicolon, tab or space, with a line of names or without."""
    _only_one_record(path, wanted)
    with path.open(encoding="utf-8-sig") as file:
        lines = [(number, line.strip()) for number, line in enumerate(file, start=1) if line.strip()]
    if not lines:
        raise RecordingError(f"{path}: has no samples: record it again")
    # The first line may be names, with blanks in them; the second is numbers in any case.
    sample = lines[min(1, len(lines) - 1)][1]
    delimiter = next((mark for mark in (",", ";", "\t") if mark in sample), None)
    names: list[str] | None = None
    if _numbers(_cells(lines[0][1], delimiter)) is None:
        names = _cells(lines.pop(0)[1], delimiter)
    width = len(_cells(lines[0][1], delimiter)) if lines else 0
    table = np.empty((len(lines), width), dtype=np.float64)
    for row, (number, line) in enumerate(lines):
        values = _numbers(_cells(line, delimiter))
        if values is None or len(values) != width:
            raise RecordingError(f"{path}: line {number}: expected {width} numbers, found {line[:40]!r}")
        table[row] = values
    if names is not None and len(names) != width:
        names = None  # a title, or names divided in another way
    return Raw(table[:, _columns(path, wanted.channel, names, width)])


def _cells(line: str, delimiter: str | None) -> list[str]:
    """A line's cells, without the empty one after a last delimiter; delimiter None is any white space."""
    cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
    return cells[:-1] if cells and not cells[-1] else cells


def _numbers(cells: list[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _columns(path: Path, channel: str | None, names: list[str] | None, width: int) -> list[int]:
    """Which columns are the signal: the named one, or all but the time."""
    if channel is not None:
        if names and channel in names:
            return [names.index(channel)]
        if channel.isdecimal() and int(channel) < width:
            return [int(channel)]
        known = ", ".join(names) if names else f"0 to {width - 1}"
        raise ChannelError(f"{path}: has no column {channel!r}: it has {known}")
    columns = [at for at in range(width) if not names or names[at].lower() not in _TIME_COLUMNS]
    if not 1 <= len(columns) <= 3:
        raise ChannelError(f"{path}: has {len(columns)} columns of signals: choose one by name or number")
    return columns


def read_wav(path: Path, wanted: Wanted) -> Raw:
    """Integers become fractions of full scale, floats stay."""
    import scipy.io.wavfile

    _only_one_record(path, wanted)
    with warnings.catch_warnings():
        # It warns of chunks that it does not know, as recorders write them; the samples are read all the same.
        warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)
        rate, samples = scipy.io.wavfile.read(path)
    if samples.dtype == np.uint8:  # 8 bits alone are unsigned: RIFF, "Multimedia Data Standards Update", PCM
        samples = (samples.astype(np.float64) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    if wanted.channel is not None:
        count = 1 if samples.ndim == 1 else samples.shape[1]
        if not (wanted.channel.isdecimal() and int(wanted.channel) < count):
            raise ChannelError(f"{path}: has no channel {wanted.channel!r}: it has 0 to {count - 1}")
        samples = samples.reshape(len(samples), count)[:, int(wanted.channel)]
    return Raw(samples, rate_hz=float(rate))


def _only_one_record(path: Path, wanted: Wanted) -> None:
    if wanted.record not in (None, 0):
        raise RecordingError(f"{path}: has no record {wanted.record}: it has 1, from 0")


def _number(data: Mapping[str, Any], key: str) -> float | None:
    return float(data[key]) if key in data else None


READERS: Mapping[str, Callable[[Path, Wanted], Raw]] = {
    ".npz": read_npz,
    ".mat": read_mat,
    ".csv": read_csv,
    ".wav": read_wav,
}
