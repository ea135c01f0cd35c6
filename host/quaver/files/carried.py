"""Finds what the package carries besides code: board files, firmware sources, the wire package."""

from pathlib import Path

_QUAVER = Path(__file__).resolve().parents[1]


def payload(*parts: str) -> Path:
    """The path of a carried file or folder, from a wheel or from a checkout.

    `parts` is relative to the repository root, e.g. `payload("boards", "pico_w.toml")`.
    """
    installed = _QUAVER / "_payload"
    root = installed if installed.is_dir() else _QUAVER.parents[1]
    return root.joinpath(*parts)
