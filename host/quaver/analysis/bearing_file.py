"""A bearing described in a file: its geometry, its four ratios or its name. The device validates it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from quaver.errors import QuaverError

SUFFIXES = (".toml", ".json")
_LONGEST = 4096  # bytes: four numbers and their names


class BearingFileError(QuaverError):
    """A file that describes no bearing."""

    exit_code = 9


def load_bearing(path: Path) -> dict[str, Any]:
    """What a .toml or .json file says of a bearing, at its top or in a table `bearing`.

    Either balls, ball_mm, pitch_mm and angle_deg (0 if left out), or ratios: BPFO, BPFI, BSF and FTF a turn of the
    shaft. Only its form is looked at here: the numbers are the device's to check. Raises BearingFileError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
    except OSError as error:
        raise BearingFileError(f"{path}: can't be read ({error.strerror}): name another file") from error
    if len(text) > _LONGEST:
        raise BearingFileError(f"{path}: is longer than {_LONGEST} bytes, too long for a bearing: name another file")
    try:
        said = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # of which both formats' errors and UnicodeDecodeError are kinds
        reason = str(error).splitlines()[0]
        raise BearingFileError(f"{path}: is not readable {path.suffix[1:].upper()}: {reason}") from error
    if isinstance(said, dict) and set(said) == {"bearing"}:
        said = said["bearing"]
    if not isinstance(said, dict) or not said:
        raise BearingFileError(
            f"{path}: does not describe a bearing: expected balls, ball_mm, pitch_mm and angle_deg, or ratios"
        )
    try:
        json.dumps(said, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BearingFileError(f"{path}: contains a date, a NaN or an infinity: expected numbers") from error
    return said
