"""NumPy's, MATLAB's and HDF5's files: arrays by name."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quaver.errors import RecordingError
from quaver.recordings.arrays import read_arrays, scalar
from quaver.recordings.contents import ChannelError, Contents, Options, Rate, Signal
from quaver.recordings.hdf5 import HDF5Error, hdf5_arrays
from quaver.recordings.mat_elements import check_elements

_CWRU_NAME = re.compile(r"X(\d{3})_?(DE|FE|BA)_time")  # drive end, fan end, base
_DEEPEST = 6  # levels of structs or groups
_PICKLED = "holds Python objects, which may run code and are never loaded: save plain numbers"


def read_npz(path: Path, options: Options) -> Contents:
    """As `read_arrays`, by key. Raises RecordingError for Python objects, which are never loaded."""
    if not zipfile.is_zipfile(path):
        raise RecordingError(
            f"{path}: is not a .npz file, or is cut short: fetch it again, or write it with numpy.savez"
        )
    with np.load(path, allow_pickle=False) as file:
        try:
            data = {key: file[key] for key in file.files}
        except ValueError as error:
            if "pickle" in str(error):
                raise RecordingError(f"{path}: {_PICKLED}") from None
            raise
    return _read(path, data, options)


def read_npy(path: Path, options: Options) -> Contents:
    """One array, (n,), (n, 1), (n, 3) or (3, n)."""
    try:
        data = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "pickle" in str(error).lower() and path.read_bytes()[:6] == b"\x93NUMPY":
            raise RecordingError(f"{path}: {_PICKLED}") from None
        raise
    if data.dtype.names:
        return _read(path, {name: data[name] for name in data.dtype.names}, options)
    return _read(path, {"": data}, options, named=False)


def _read(path: Path, data: Mapping[str, Any], options: Options, named: bool = True) -> Contents:
    if not data:
        raise RecordingError(f"{path}: holds no arrays: save the recording again")
    return read_arrays(path, data, options, named)


def read_mat(path: Path, options: Options) -> Contents:
    """MATLAB: MFPT (a struct `bearing`), Case Western (X097_DE_time, X097RPM), any variable or struct, v7.3."""
    content = path.read_bytes()
    if content.startswith((b"MATLAB 7.3", b"\x89HDF")):
        return read_hdf5(path, options)
    import scipy.io

    check_elements(content)
    data = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    variables = {key: value for key, value in data.items() if not key.startswith("__")}
    bearing = variables.get("bearing")
    if bearing is not None and all(hasattr(bearing, key) for key in ("gs", "sr", "rate")):
        # "rate" is the shaft's speed in Hz; gs are in g.
        return Contents(
            [Signal("gs", np.atleast_1d(bearing.gs))],
            [Rate(scalar(path, "bearing.sr", bearing.sr), "bearing.sr")],
            unit="g",
            unit_source="as in the MFPT set",
            rpm=("bearing.rate", 60.0 * scalar(path, "bearing.rate", bearing.rate)),
        )
    if any(map(_CWRU_NAME.fullmatch, variables)):
        return _cwru(path, options, variables)
    flat: dict[str, Any] = {}
    _flatten("", variables, flat, 0)
    return _read(path, flat, options)


def _flatten(prefix: str, value: Any, flat: dict[str, Any], depth: int) -> None:
    """Structs as names with points between them: "Signal.y_values.values"."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, part in value.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), part, flat, depth + 1)
    elif hasattr(value, "_fieldnames"):
        _flatten(prefix, {key: getattr(value, key) for key in value._fieldnames}, flat, depth)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        for at, part in enumerate(value.reshape(-1)[:16]):
            _flatten(f"{prefix}[{at}]", part, flat, depth + 1)
    else:
        flat[prefix] = value


def _cwru(path: Path, options: Options, data: Mapping[str, Any]) -> Contents:
    """Case Western: acceleration in g; the rate (12 or 48 kHz) stands in the download page alone."""
    matches = {match[0]: match for match in map(_CWRU_NAME.fullmatch, data) if match}
    if options.channel in matches:
        matches = {str(options.channel): matches[str(options.channel)]}
    # Some of these files carry a neighbour's signals too (99.mat has those of 98): the file's own name decides.
    number = "".join(re.findall(r"\d+", path.stem)).zfill(3)
    own = {name: match for name, match in matches.items() if match[1] == number}
    if not own and len({match[1] for match in matches.values()}) > 1:
        raise ChannelError(f"{path}: has signals of several measurements: choose one of {', '.join(matches)}")
    own = own or matches
    contents = Contents([], unit="g", unit_source="as in the Case Western set")
    for at, (name, match) in enumerate(own.items()):
        values = np.atleast_1d(data[name])
        if values.ndim > 1:
            raise ChannelError(
                f"{path}: its signal has {values.ndim} dimensions, expected 1 or 2: choose another channel"
            )
        wanted = options.channel is not None and options.channel.upper() == match[2]
        contents.signals.append(Signal(str(options.channel) if wanted else name, values, at))
    key = f"X{next(iter(own.values()))[1]}RPM"
    if key in data:
        contents.rpm = (key, data[key])
    return contents


def read_hdf5(path: Path, options: Options) -> Contents:
    """Datasets by their path; attributes fs, dt, unit and rpm of the file or of a dataset. MATLAB v7.3 is HDF5."""
    optional("h5py", path)
    try:
        flat = hdf5_arrays(path)
    except HDF5Error as error:
        raise RecordingError(
            f"{path}: is a damaged or unfinished HDF5 "
            f"file{' (MATLAB v7.3)' if path.suffix == '.mat' else ''}: {error}; "
            "fetch it again, or save it with MATLAB's -v7"
        ) from error
    numbers = {
        key: value for key, value in flat.items() if key.rpartition("/")[2] not in ("MATLAB_class", "MATLAB_empty")
    }
    return _read(path, numbers, options)


def optional(module: str, path: Path) -> Any:
    """A library that not everybody has. Raises RecordingError with the line that installs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RecordingError(f"{path}: needs {module} to be read: pip install 'quaver[formats]'") from error
