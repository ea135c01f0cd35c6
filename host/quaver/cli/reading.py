"""The options for reading a recording, the same in every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quaver.recordings import Recording

FORMATS = ".csv, .txt, .lvm, .npz, .npy, .mat, .h5, .wav, .tdms, .uff, or mfpt:NAME"
_UNITS = ("g", "m/s2", "mm/s2", "mg", "lsb")
_DELIMITERS = ("comma", "semicolon", "tab", "space", "pipe", "none")
_MARKS = {",": "comma", ";": "semicolon", "\t": "tab", "\\t": "tab", " ": "space", "|": "pipe", ".": "point"}
# The options that correct an error of `load`.
_HINTS = {
    "channel": "--{0}channel NAME",
    "rate": "--{0}rate HZ",
    "rpm": "--rpm",
    "unit": "--{0}unit UNIT or --{0}scale G",
    "scale": "--{0}scale G",
    "delimiter": "--{0}delimiter or --{0}decimal",
}


class _Mark(click.Choice[str]):
    """A choice of words that also accepts the mark itself."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_mark(self.choices, value), param, ctx)


def _mark(choices: Any, value: Any) -> Any:
    found = _MARKS.get(value, value)
    return found if found in choices else value


@dataclass(frozen=True)
class Reading:
    """How to read a recording, as the user states it; None leaves it to the file. See `quaver.recordings.load`."""

    channel: str | None = None
    rate: float | None = None
    unit: str | None = None
    scale: float | None = None
    delimiter: str | None = None
    decimal: str | None = None

    @classmethod
    def of(cls, options: dict[str, Any], prefix: str = "") -> Reading:
        """Take these out of a command's options."""
        return cls(**{name: options.pop(prefix + name) for name in cls.__dataclass_fields__})


def reading_options(prefix: str = "", what: str = "recording") -> Callable[[Any], Any]:
    """Adds --channel, --rate, --unit, --scale, --delimiter and --decimal to a command, each with a prefix."""
    options = (
        click.option(f"--{prefix}channel", metavar="NAME", help=f"The signal of a {what}: name, axis or number."),
        click.option(f"--{prefix}rate", type=float, metavar="HZ", help=f"Rate of a {what} that does not state it."),
        click.option(f"--{prefix}unit", type=click.Choice(_UNITS), help=f"Unit of a {what} that does not state it."),
        click.option(
            f"--{prefix}scale", type=float, metavar="G",
            help="Factor for each number: g per count, volt or full scale; with --unit, that unit per count.",
        ),
        click.option(f"--{prefix}delimiter", type=_Mark(_DELIMITERS), help="The delimiter of the columns of a text."),
        click.option(f"--{prefix}decimal", type=_Mark(("point", "comma")), help="The decimal mark of a text."),
    )  # fmt: skip

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def load_recording(name: str, reading: Reading | None = None, prefix: str = "", rpm: float | None = None) -> Recording:
    """The recording of a file, or of mfpt:NAME, which is fetched with a progress bar if need be.

    prefix: how the names of the options begin, for a message. rpm: in place of the file's. Raises RecordingError.
    """
    from quaver.cli.ui import download
    from quaver.errors import RecordingError
    from quaver.recordings import OptionError, load, mfpt_path

    reading = reading or Reading()
    if name.startswith("mfpt:"):
        if reading != Reading():
            raise RecordingError(
                f"{name}: has one channel in g and states its rate: leave --{prefix}channel, --{prefix}rate "
                "and similar options out"
            )
        with download() as progress:
            path = mfpt_path(name.removeprefix("mfpt:"), progress)
        return load(path, rpm=rpm)
    try:
        return load(name, **asdict(reading), rpm=rpm)
    except OptionError as error:
        raise type(error)(f"{error} ({_HINTS[error.option].format(prefix)})") from error
