"""The build room's own drivers: modules of a folder that become drivers of a node, beside the firmware's.

On flash they lie in a folder of their own, which no update of the firmware touches. Some are there to be taken, in
firmware/extra: few nodes have their parts, and the flash of all would hold them twice at each update.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quaver.board.guest import guest
from quaver.board.local import ProgramError, run
from quaver.board.spec import load_board
from quaver.build.compile import compile_mpy
from quaver.errors import BuildError
from quaver.files.carried import payload
from quaver.files.pinned import write_atomically

BESIDE = "drivers"
"""The folder's name beside a node's configuration."""

_ON_FLASH = "own"
_BUILT_IN = """
import json
from build import sensors
print(json.dumps([name for measures in sensors.DRIVERS for name in sensors.names(measures)]))
"""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,15}")  # as build.config takes a driver's name
_MOST = 4
_LONGEST = 8192  # bytes of one, compiled: it stays on the heap


def own_drivers(folder: Path, board: str) -> dict[str, bytes]:
    """The files that a board's flash gets of a folder of drivers: {"own/NAME.mpy": …} for each NAME.py.

    Raises BuildError: a name that the firmware has, a module that does not say what it measures, too many or too long.
    """
    sources = _sources(folder)
    if not sources:
        raise BuildError(f"{folder}: has no driver: expected NAME.py (docs/own-sensor.md)")
    for name in sources:
        _check_name(name)
    with staged(folder) as beside:
        problems: list[str] = _run(guest(__file__, "check_drivers"), json.dumps(list(sources)), beside)
    if problems:
        raise BuildError(f"{folder}: {'; '.join(problems)}")
    arch = load_board(board).arch
    files = {}
    for name, source in sources.items():
        try:
            compiled = compile_mpy(source, f"{_ON_FLASH}/{name}.py", arch)
        except BuildError as error:
            raise BuildError(f"{folder}: {error}") from error
        if len(compiled) > _LONGEST:
            raise BuildError(
                f"{folder / name}.py: is {len(compiled)} bytes compiled, at most {_LONGEST} fit: shorten it"
            )
        files[f"{_ON_FLASH}/{name}.mpy"] = compiled
    return files


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BuildError(f"driver {name}: expected a name of at most 16 small letters, digits and _, a letter first")
    if name in _run(_BUILT_IN):
        raise BuildError(f"driver {name}: the firmware has one of this name: choose another")


def _run(code: str, given: str = "", folder: Path | None = None) -> Any:
    try:
        return run(code, given, folder=folder)
    except ProgramError as error:
        raise BuildError(f"the check of drivers {error}: check their code") from error


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder in which MicroPython finds the drivers of `folder` as a node does. Raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="quaver-") as place:
        own = Path(place, _ON_FLASH)
        own.mkdir()
        for name, source in _sources(folder).items():
            (own / f"{name}.py").write_bytes(source)
        yield Path(place)


def _sources(folder: Path) -> dict[str, bytes]:
    """The modules of a folder by name; none where there is no such folder. Raises BuildError."""
    try:
        paths = sorted(folder.glob("*.py"))
        if len(paths) > _MOST:
            raise BuildError(f"{folder}: has {len(paths)} drivers, a node takes {_MOST}: leave some out")
        return {path.stem: path.read_bytes() for path in paths}
    except OSError as error:
        raise BuildError(f"{folder}: cannot be read ({error.strerror}): check its permissions") from error


def extra_drivers() -> dict[str, Path]:
    """The drivers that are there to be taken, by name."""
    return {path.stem: path for path in sorted(payload("firmware", "extra").glob("*.py"))}


def new_driver(name: str, folder: Path) -> list[Path]:
    """Write a driver to begin with, a model of its part, and their test; the files. One of extra_drivers is written as
    it is, and alone. Raises BuildError."""
    _check_name(name)
    extra = extra_drivers().get(name)
    templates = Path(__file__).with_name("template")
    made = {folder / BESIDE / f"{name}.py": extra or templates / "driver.py.txt"}
    if not extra:
        made |= {folder / f"{kind}_{name}.py": templates / f"{kind}.py.txt" for kind in ("model", "test")}
    for path in made:
        if path.exists():
            raise BuildError(f"{path}: is there already: choose another name, or remove it")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    try:
        for path, source in made.items():
            text = source.read_text(encoding="utf-8")
            if not extra:
                text = text.replace("DRIVER", name).replace("CLASS", class_name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode())
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written ({error.strerror}): choose another folder") from error
    return list(made)
