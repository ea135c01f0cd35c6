"""The files of measuring instruments: WAV, National Instruments' TDMS, and the Universal File Format (UFF 58)."""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from quaver.errors import RecordingError
from quaver.recordings.binary import optional
from quaver.recordings.contents import Contents, Options, Rate, Signal, UnitError
from quaver.recordings.units import unit_in, unit_named

_UNKNOWN_SIZE = 0xFFFFFFFF  # what a recorder writes that streams, and does not know the end
_SAID_MAX = 80  # characters


def read_wav(path: Path, options: Options) -> Contents:
    """Integers become fractions of full scale, floats stay. What is cut short is read as far as it goes, and said."""
    import scipy.io.wavfile

    data, note = _mended(path, bytearray(path.read_bytes()))
    with warnings.catch_warnings():
        # It warns of chunks that it does not know, as recorders write them; the samples are read all the same.
        warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)
        rate, samples = scipy.io.wavfile.read(io.BytesIO(bytes(data)))
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    full = None
    if samples.dtype.kind in "iu":
        bits = struct.unpack_from("<H", data, bytes(data).index(b"fmt ") + 22)[0]
        full = float(1 << (bits - 1))
        # 8 bits alone are unsigned: RIFF, "Multimedia Data Standards Update", PCM
        middle, height = (128.0, 128.0) if samples.dtype == np.uint8 else (0.0, -float(np.iinfo(samples.dtype).min))
        samples = (samples.astype(np.float64) - middle) / height
    comment = re.search(rb"ICMT....([^\x00]*)", bytes(data[:44]) + bytes(data[-256:]), re.DOTALL)
    unit = unit_in(comment[1].decode("latin-1")) if comment and full is None else None
    signals = [Signal("", samples[:, at], at, unit, full) for at in range(samples.shape[1])]
    if full is None and unit is None and options.unit is None and options.scale is None:
        raise UnitError(
            f"{path}: holds fractions and does not name their unit: give the unit (g, m/s2, …), or the scale"
        )
    return Contents(signals, [Rate(float(rate), "the WAV header")], notes=[note] if note else [])


def _mended(path: Path, data: bytearray) -> tuple[bytearray, str]:
    """(the file with sizes that are true, what was wrong with them)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data, ""
    at, frame = 12, 0
    while at + 8 <= len(data):
        name, size = bytes(data[at : at + 4]), struct.unpack_from("<I", data, at + 4)[0]
        if name == b"fmt " and at + 24 <= len(data):
            frame = struct.unpack_from("<H", data, at + 20)[0]
        if name == b"data":
            there = len(data) - at - 8
            if 0 < size <= there:
                return data, ""
            if not frame or there < frame:
                raise RecordingError(f"{path}: is cut off before its first sample: fetch or record it anew")
            whole = there // frame * frame
            del data[at + 8 + whole :]
            struct.pack_into("<I", data, at + 4, whole)
            struct.pack_into("<I", data, 4, len(data) - 8)
            count = whole // frame
            if size in (0, _UNKNOWN_SIZE):
                return (
                    data,
                    f"its header does not say how long it is, as after a cut or a stream: all {count} samples that "
                    "are there",
                )
            return data, f"cut short: {count} of {size // frame} samples are there"
        at += 8 + size + (size & 1)
    raise RecordingError(f"{path}: is cut off before its first sample, or has none: fetch or record it anew")


def read_tdms(path: Path, options: Options) -> Contents:
    """Channels by "group/channel"; wf_increment gives the rate, unit_string the unit."""
    nptdms = optional("nptdms", path)
    contents = Contents([])
    with _heard(contents.notes):
        file = nptdms.TdmsFile.read(path)
    for group in file.groups():
        for channel in group.channels():
            values = np.asarray(channel[:])
            if values.dtype.kind not in "iuf" or len(values) < 2:
                contents.not_signals[f"{group.name}/{channel.name}"] = "no numbers"
                continue
            label = f"{group.name}/{channel.name}"
            unit = str(channel.properties.get("unit_string", "") or channel.properties.get("NI_UnitDescription", ""))
            step = channel.properties.get("wf_increment")
            if step:
                contents.rates.append(Rate(1 / float(step), f"wf_increment of {label}"))
            said = (unit_named(unit) or f"?{unit}") if unit else unit_in(channel.name)
            contents.signals.append(Signal(label, values, len(contents.signals), said))
    if not contents.signals:
        raise RecordingError(f"{path}: holds no channels of numbers: record it again")
    _without_axes(path, contents, file)
    return contents


@contextmanager
def _heard(notes: list[str]) -> Iterator[None]:
    """What nptdms has to say of a file becomes a note; by itself it prints each line."""
    from nptdms.log import log_manager

    said: list[str] = []

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append("".join(c if c.isprintable() else "?" for c in record.getMessage())[:_SAID_MAX])

    log_manager.console_handler.setLevel(logging.CRITICAL)
    hears = Hears(logging.WARNING)
    logger = logging.getLogger("nptdms")
    logger.addHandler(hears)
    try:
        yield
    finally:
        logger.removeHandler(hears)
        if said:
            more = f" and {len(said) - 1} more" if len(said) > 1 else ""
            notes.append(f"the file may be damaged ({said[0]}{more})")


def _without_axes(path: Path, contents: Contents, file: object) -> None:
    """Take out channels that are time or an index."""
    from quaver.recordings.time_axis import judge

    kept = []
    for signal in contents.signals:
        exact = signal.values.astype(np.int64 if signal.values.dtype.kind in "iu" else np.float64)
        try:
            axis = (
                judge(signal.name.rpartition("/")[2], signal.label, exact, lambda at: f"sample {at}")
                if np.isfinite(exact).all()
                else None
            )
        except RecordingError as error:
            raise RecordingError(f"{path}: {error}") from None
        if axis is None:
            kept.append(signal)
            continue
        contents.not_signals[signal.label] = "the time" if axis.kind == "time" else "an index"
        if axis.rate is not None:
            contents.rates.append(axis.rate)
        if axis.spacing is not None:
            contents.spacings.append((signal.label, axis.spacing))
    contents.signals = kept


def read_uff(path: Path, options: Options) -> Contents:
    """Data sets 58 of a real function of time, evenly spaced; the ordinate's unit where it is said."""
    pyuff = optional("pyuff", path)
    sets = pyuff.UFF(str(path)).read_sets()
    contents = Contents([])
    for at, data in enumerate(sets if isinstance(sets, list) else [sets]):
        if data.get("type") != 58 or data.get("func_type") not in (0, 1):
            continue
        values = np.asarray(data["data"])
        if values.dtype.kind == "c" or data.get("abscissa_spec_data_type") not in (17, 0):
            continue  # not over time
        name = str(data.get("id1", "")).strip()
        name = "" if name.upper() == "NONE" else name
        unit = str(data.get("ordinate_axis_units_lab", "")).strip()
        said = None if unit.upper() in ("", "NONE") else unit_named(unit) or f"?{unit}"
        if data.get("ordinate_spec_data_type") not in (0, 1, 12):
            said = "another quantity"
        step = float(data.get("abscissa_inc") or 0)
        if step:
            contents.rates.append(Rate(1 / step, f"the spacing of data set {at}"))
        elif len(values) > 1:
            from quaver.recordings.time_axis import judge

            axis = judge(
                "time (s)", f"the time of data set {at}", np.asarray(data["x"], np.float64), lambda at: f"sample {at}"
            )
            if axis is not None and axis.rate is not None:
                contents.rates.append(axis.rate)
        contents.signals.append(Signal(name, values, len(contents.signals), said))
    if not contents.signals:
        raise RecordingError(f"{path}: holds no data set 58 of a function of time: export the time signal")
    return contents
