"""Programs for a board: MicroPython files beside the modules that run them, in a folder `guest`."""

from __future__ import annotations

from pathlib import Path


def guest(module: str, name: str, **given: object) -> str:
    """The source of guest/`name`.py beside `module` (its `__file__`).

    given: module-level names that the program reads, with values whose repr is their source.
    """
    source = Path(module).with_name("guest").joinpath(f"{name}.py").read_text(encoding="utf-8")
    return "".join(f"{key} = {value!r}\n" for key, value in given.items()) + source
