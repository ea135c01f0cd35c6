"""The programs of PostgreSQL on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_FOLDER = Path("/usr/lib/postgresql")  # Debian keeps them there by version, and few of them on PATH


def program(name: str) -> str | None:
    """The newest of that name; None where there is none."""
    versions = sorted(_FOLDER.glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, versions), os.environ.get("PATH", "")]))
