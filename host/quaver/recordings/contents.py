"""The result of the reader of any file format: a file's signals, and what it states about them, unchecked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from quaver.errors import RecordingError


class OptionError(RecordingError):
    """An error that another value of an option of `load` corrects; `option` names it."""

    option = ""


class ChannelError(OptionError):
    """A recording of which another signal has to be chosen: the `channel` of `load`."""

    option = "channel"


class RateError(OptionError):
    """A sampling rate that is missing or wrong: the `rate` of `load`."""

    option = "rate"


class RpmError(OptionError):
    """A shaft speed that a file gives wrong: the `rpm` of `load`."""

    option = "rpm"


class UnitError(OptionError):
    """Numbers whose unit is missing or wrong: the `unit` of `load`, and its `scale`."""

    option = "unit"


class ScaleError(OptionError):
    """Numbers of which only a scale makes acceleration: the `scale` of `load`."""

    option = "scale"


class DialectError(OptionError):
    """Text that can be read in two ways: the `delimiter` and the `decimal` of `load`."""

    option = "delimiter"


@dataclass(frozen=True)
class Options:
    """How a caller wants a file read; None leaves it to the file. See `load` for each."""

    channel: str | None = None
    rate: float | None = None
    record: int | None = None
    unit: str | None = None
    scale: float | None = None
    rpm: float | None = None
    delimiter: str | None = None
    decimal: str | None = None


@dataclass(frozen=True, eq=False)
class Signal:
    """One signal of a file.

    name: as the file has it, "" without one; number: of its column or channel, from 0. values: shape (n,).
    unit: what the file says that its numbers are in (a name of `units`), None if it says nothing.
    full_scale: what a whole number of 1.0 times full scale is, for formats that count in full scales.
    """

    name: str
    values: NDArray[Any]
    number: int = 0
    unit: str | None = None
    full_scale: float | None = None

    @property
    def label(self) -> str:
        """How a person calls it."""
        return self.name or f"column {self.number}"


@dataclass(frozen=True)
class Rate:
    """A sampling rate that a file gives. source: where it stands; tolerance: how far it may be off, as a part."""

    hz: float
    source: str
    tolerance: float = 0.0


@dataclass
class Contents:
    """All that a file says.

    rates: every statement about the sampling rate. spacings: (column, mean step) of time columns whose unit is not
    said. unit: what signals are in by their format, and unit_source: which format. scale: g a count, as the file has
    it. rpm, temperature, record_samples: as in `Recording`. not_signals: what else there is, and what it was taken
    for. notes: what else a person should know.
    """

    signals: list[Signal]
    rates: list[Rate] = field(default_factory=list)
    spacings: list[tuple[str, float]] = field(default_factory=list)
    unit: str | None = None
    unit_source: str = ""
    scale: Any = None
    rpm: Any = None
    temperature: NDArray[Any] | None = None
    record_samples: int | None = None
    not_signals: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
