"""Finds what the package carries besides code: board files, firmware sources, the wire package."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def payload(*parts: str) -> Path:
    """The path of a carried file or folder, from a wheel or from a checkout.

    `parts` is relative to the repository root, e.g. `payload("boards", "pico_w.toml")`.
    """
    installed = _HERE / "_payload"
    root = installed if installed.is_dir() else _HERE.parents[1]
    return root.joinpath(*parts)
