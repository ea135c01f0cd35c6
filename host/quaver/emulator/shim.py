"""The unix board's shim: the modules of unix_shim/, compiled once and kept in the cache. To compile them at each start
takes a third of it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from quaver.build.compile import compile_mpy
from quaver.files.pinned import cache_dir, keep

_SHIM = Path(__file__).with_name("unix_shim")


@functools.cache
def shim_folder(arch: str) -> Path:
    """Where a guest finds the compiled modules. arch: mpy-cross's -march. Raises BuildError, ArtifactError."""
    compiled = {}
    for path in sorted(_SHIM.rglob("*.py")):
        name = path.relative_to(_SHIM)
        compiled[name.with_suffix(".mpy")] = compile_mpy(path.read_bytes(), name.as_posix(), arch)
    folder = cache_dir() / "shim" / hashlib.sha256(b"".join(compiled.values())).hexdigest()
    for name, code in compiled.items():
        if not (folder / name).exists():
            keep(folder / name, code)
    return folder
