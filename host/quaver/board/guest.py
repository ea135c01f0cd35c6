"""Programs for a board: MicroPython files beside the modules that run them, in a folder `guest`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def guest(module: str, name: str, **given: object) -> str:
    """The source of guest/`name`.py beside `module` (its `__file__`).

    given: module-level names that the program reads, with values whose repr is their source.
    """
    return source(Path(module).with_name("guest") / f"{name}.py", given)


def source(path: Path, given: Mapping[str, object]) -> str:
    """The program in a file, with `given` before it, as `guest` has it."""
    return "".join(f"{key} = {value!r}\n" for key, value in given.items()) + path.read_text(encoding="utf-8")
