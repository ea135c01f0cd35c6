"""One recording in memory, and the way from any file to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.contents import ChannelError, Contents, Options, RpmError
from quaver.recordings.units import check_gravity, check_plausible

if TYPE_CHECKING:
    Reader = Callable[[Path, Options], Contents]

_RPMS = (1.0, 60_000.0)
_SHORTEST = 64  # samples; less than any block that a node measures
# What to do about a file that its format's reader gives up on.
_REMEDIES = {
    ".mat": "save it again with MATLAB's -v7, or as .npz",
    ".npz": "write it again with numpy.savez",
    ".npy": "write it again with numpy.save",
    ".wav": "save it again as PCM or float",
}
TEXT_SUFFIXES = (".csv", ".txt", ".tsv", ".dat", ".asc", ".lvm")
SUFFIXES = (*TEXT_SUFFIXES, ".npz", ".npy", ".mat", ".h5", ".hdf5", ".wav", ".tdms", ".uff", ".unv")


@dataclass(frozen=True)
class Taken:
    """What was taken from a file, and on what grounds.

    column: the signal's name or number, as the file has it. axis: "x", "y" or "z" by its name, "" without. unit: what
    its numbers are in; unit_source, rate_source: how that is known. scale: what each number was multiplied with.
    notes: what else a person should know.
    """

    column: str
    axis: str
    rate_hz: float
    rate_source: str
    unit: str
    unit_source: str
    scale: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        axis = f" (axis {self.axis})" if self.axis else ""
        scale = "" if self.scale == 1 else f" x {self.scale:g}"
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"{self.column}{axis} in {self.unit}{scale} ({self.unit_source}), "
            f"{self.rate_hz:.7g} Hz ({self.rate_source}){notes}"
        )


@dataclass(frozen=True, eq=False)
class Recording:
    """Vibration of a machine.

    acceleration: float32, shape (samples, axes) with 1 to 3 axes, in g. rate_hz: samples a second.
    rpm: the shaft's speed, None if unknown. temperature: shape (n, 2), seconds and °C, None if unknown.
    record_samples: the length of each of a file's records, which follow each other with gaps; None for one in a row.
    axes: a name for each axis, as the file has it; empty without names. taken: how each was read, if from a file.
    """

    name: str
    acceleration: NDArray[np.float32]
    rate_hz: float
    rpm: float | None = None
    temperature: NDArray[np.float32] | None = None
    record_samples: int | None = None
    axes: tuple[str, ...] = ()
    taken: tuple[Taken, ...] = ()
    several: bool = False  # whether this is one of several axes

    @property
    def title(self) -> str:
        """Its name, and of one of several axes that one's."""
        return f"{self.name} {self.axes[0]}" if self.several and self.axes else self.name

    @property
    def temperature_c(self) -> float | None:
        """Mean temperature in °C, None if unknown."""
        return None if self.temperature is None else float(self.temperature[:, 1].mean())

    def each(self) -> list[Recording]:
        """A recording of each axis alone, in order; itself where there is one."""
        count = self.acceleration.shape[1]
        if count == 1:
            return [self]
        return [
            replace(
                self, acceleration=self.acceleration[:, at : at + 1], axes=self.axes[at : at + 1],
                taken=self.taken[at : at + 1], several=True,
            )
            for at in range(count)
        ]  # fmt: skip


def load(
    path: str | Path,
    *,
    channel: str | None = None,
    rate: float | None = None,
    record: int | None = None,
    unit: str | None = None,
    scale: float | None = None,
    rpm: float | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
) -> Recording:
    """Read a recording, of any format in `SUFFIXES`; docs/recordings.md tells what of each.

    channel: which signal of a file with several: its name, the axis that its name says, or its number from 0; without
    it all that can be acceleration, up to three (see `axes`).
    rate: Hz, for files that do not say; what a file says must agree within 1 %.
    record: one record, from 0, of a file of several (PRONOSTIA); without it all in a row.
    unit: of `units.G_PER_UNIT`, for files that do not say; what a file says must agree.
    scale: what each number is multiplied with to be in `unit`; without a unit g for each of the file's units (a count,
    a volt, a WAV's full scale). rpm: of the shaft, in place of the file's.
    delimiter, decimal: of text (`dialect.DELIMITERS`, `dialect.DECIMALS`), where it can be read in two ways.

    Raises RecordingError; of it an OptionError where another value of one of these is the way out.
    """
    path = Path(path)
    options = Options(
        channel, rate, record=record, unit=unit, scale=scale, rpm=rpm, delimiter=delimiter, decimal=decimal
    )
    suffix = path.suffix.lower()
    reader = _reader(suffix)
    if reader is None:
        hint = ": save its sheet as .csv" if suffix in (".xlsx", ".xls", ".ods") else ""
        raise RecordingError(f"{path}: can't be read: expected a file named {', '.join(sorted(SUFFIXES))}{hint}")
    if path.is_dir() or not path.exists():
        raise RecordingError(f"{path}: is not a file: check the name")
    try:
        if path.stat().st_size == 0:
            raise RecordingError(f"{path}: is empty: record it again or fetch it again")
        from quaver.recordings.disguises import check_disguise

        check_disguise(path)
        contents = reader(path, options)
    except RecordingError:
        raise
    except OSError as error:
        if error.strerror is None:
            raise _unreadable(path, error) from error
        raise RecordingError(f"{path}: can't be read ({error.strerror}): check the file") from error
    # The readers of other people's formats fail in ways of their own; all mean the same to a person.
    except Exception as error:
        raise _unreadable(path, error) from error
    return _checked(path, contents, options)


def _unreadable(path: Path, error: Exception) -> RecordingError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    suffix = path.suffix.lower()
    remedy = _REMEDIES.get(
        suffix, "save it again as columns of numbers, in UTF-8" if suffix in TEXT_SUFFIXES else "fetch it again"
    )
    return RecordingError(f"{path}: is not a readable {suffix[1:]} recording: {reason}; {remedy}")


def _reader(suffix: str) -> Reader | None:
    from quaver.recordings import binary, measured, text

    readers: dict[str, Reader] = {
        ".npz": binary.read_npz, ".npy": binary.read_npy, ".mat": binary.read_mat, ".h5": binary.read_hdf5,
        ".hdf5": binary.read_hdf5, ".wav": measured.read_wav, ".tdms": measured.read_tdms, ".uff": measured.read_uff,
        ".unv": measured.read_uff,
    }  # fmt: skip
    return text.read_text if suffix in TEXT_SUFFIXES else readers.get(suffix)


def _checked(path: Path, contents: Contents, options: Options) -> Recording:
    """Hold what a file gave against what a signal must be."""
    from quaver.recordings.axes import axis_of, choose
    from quaver.recordings.rates import rate_of
    from quaver.recordings.scales import unit_of

    if options.record not in (None, 0) and path.suffix.lower() not in (".npz", ".npy", ".mat", ".h5", ".hdf5"):
        raise RecordingError(f"{path}: has no record {options.record}: it has one, record 0")
    signals = choose(path, contents, options.channel)
    for signal in signals:
        values = np.asarray(signal.values)
        if values.dtype.kind not in "iuf":
            raise ChannelError(f"{path}: holds {values.dtype}, not real numbers: choose another channel")
        if values.ndim != 1:
            raise ChannelError(
                f"{path}: its signal has {values.ndim} dimensions, expected 1 or 2: choose another channel"
            )
        if len(values) < _SHORTEST:
            raise RecordingError(f"{path}: has {len(values)} samples: expected at least {_SHORTEST}")
    rate, rate_source = rate_of(path, contents, options.rate)
    rpm = _rpm(path, contents.rpm, options.rpm)
    parts, taken = [], []
    notes = list(contents.notes)
    if contents.not_signals:
        notes.append("left out: " + ", ".join(f"{name} ({what})" for name, what in contents.not_signals.items()))
    read = [(signal, *unit_of(path, signal, contents, options)) for signal in signals]
    if all(source == "assumed" for _, _, source, _, _ in read):
        check_gravity(str(path), np.array([np.mean(np.asarray(signal.values, np.float64)) for signal in signals]))
    for signal, unit, source, scale, g_per_unit in read:
        with np.errstate(over="ignore", invalid="ignore"):
            acceleration = (np.asarray(signal.values) * (scale * g_per_unit)).astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(acceleration))
        if bad.size:
            raise RecordingError(
                f"{path}: {bad.size} samples are NaN or infinite, the first is {bad[0]}: correct the file"
            )
        alone = len(contents.signals) + len(contents.not_signals) == 1
        label = signal.name or ("its one signal" if alone else f"column {signal.number}")
        what = f"{path}: {label}" if len(signals) > 1 else str(path)
        check_plausible(what, acceleration, rate, unit, source == "assumed")
        parts.append(acceleration)
        axis = "" if alone and signal.name.lower() == "x" else axis_of(signal.name)  # "x" may as well be any signal
        taken.append(
            Taken(
                label,
                axis,
                rate_hz=rate,
                rate_source=rate_source,
                unit=unit,
                unit_source=source,
                scale=scale,
                notes=tuple(notes),
            )
        )
    temperature = None if contents.temperature is None else np.asarray(contents.temperature, dtype=np.float32)
    names = tuple(signal.name for signal in signals) if any(signal.name for signal in signals) else ()
    if not names and len(signals) > 1:
        names = tuple(str(signal.number) for signal in signals)
    return Recording(
        path.stem,
        np.stack(parts, axis=1),
        rate_hz=rate,
        rpm=rpm,
        temperature=temperature,
        record_samples=contents.record_samples,
        axes=names,
        taken=tuple(taken),
    )


def _rpm(path: Path, own: tuple[str, Any] | None, given: float | None) -> float | None:
    from quaver.recordings.arrays import scalar

    low, high = _RPMS
    if given is not None or own is None:
        return given
    try:
        rpm = scalar(path, own[0], own[1])
    except RecordingError as error:
        raise RpmError(f"{error}: give the speed") from None
    if not low <= rpm <= high:  # NaN too
        raise RpmError(f"{path}: {own[0]} is {rpm:g}: expected a speed of {low:g} to {high:g} 1/min: give it")
    return rpm
