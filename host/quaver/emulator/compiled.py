"""C code of an emulator: compiled with the C compiler that is there, once, and loaded from the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quaver.errors import ArtifactError
from quaver.files.pinned import cache_dir

_FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC")
_LIBRARIES = ("-lm",)
_TIMEOUT_S = 120.0


def load_compiled(name: str, sources: Sequence[Path], symbol: str, headers: Sequence[Path] = ()) -> ctypes.CDLL | None:
    """The library of these C files; None where no C compiler can make it.

    headers: files that they include. symbol: a function that it must have.
    """
    parts = [path.read_bytes() for path in (*sources, *headers)]
    key = hashlib.sha256(b"\0".join((*parts, " ".join(_FLAGS).encode(), sysconfig.get_platform().encode())))
    try:
        path = cache_dir() / "native" / f"{name}-{key.hexdigest()[:16]}.so"
        return _load(path, symbol) or (_load(path, symbol) if _compile(path, sources) else None)
    except (ArtifactError, OSError, subprocess.SubprocessError):
        return None


def _load(path: Path, symbol: str) -> ctypes.CDLL | None:
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        getattr(library, symbol)
    except (OSError, AttributeError):  # left by another system, or spoilt: it is made anew
        return None
    return library


def _compile(path: Path, sources: Sequence[Path]) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    for compiler in _compilers():
        # Another process may be at it too: each makes a file of its own, and whichever is renamed last stays.
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".so")
        os.close(handle)
        made = Path(name)
        try:
            done = subprocess.run(
                [*compiler, *_FLAGS, "-o", name, *map(str, sources), *_LIBRARIES],
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            if done.returncode == 0:
                made.replace(path)
                return True
        finally:
            made.unlink(missing_ok=True)
    return False


def _compilers() -> list[list[str]]:
    found = [[path] for path in map(shutil.which, ("cc", "gcc", "clang")) if path is not None]
    if importlib.util.find_spec("ziglang") is not None:
        found.append([sys.executable, "-m", "ziglang", "cc"])
    return found
