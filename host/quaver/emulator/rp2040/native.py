"""Compiles `burst.c` with the C compiler that is there, once, and loads it from the user's cache."""

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
from collections.abc import Callable
from pathlib import Path

from rp2040py.rp2040 import RP2040

from quaver.errors import ArtifactError
from quaver.files.pinned import cache_dir

Burst = Callable[[int, int], int]
"""The C function: address of its `struct chip`, cycles to run for -> cycles run."""

_SOURCE = Path(__file__).with_name("burst.c")
_FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC")
_TIMEOUT_S = 120.0


def load_burst() -> Burst | None:
    """The compiled function; None where no C compiler can make it, or rp2040py is not compiled itself."""
    if sys.byteorder != "little" or not RP2040.__module__.startswith("rp2040py.native"):
        return None  # it shares memory with rp2040py's compiled core, and reads it as the host does its own
    source = _SOURCE.read_bytes()
    key = hashlib.sha256(b"\0".join((source, " ".join(_FLAGS).encode(), sysconfig.get_platform().encode())))
    try:
        path = cache_dir() / "native" / f"burst-{key.hexdigest()[:16]}.so"
        return _load(path) or (_load(path) if _compile(path) else None)
    except (ArtifactError, OSError, subprocess.SubprocessError):
        return None


def _load(path: Path) -> Burst | None:
    if not path.exists():
        return None
    try:
        burst = ctypes.CDLL(str(path)).burst
    except (OSError, AttributeError):  # left by another system, or spoilt: it is made anew
        return None
    burst.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
    burst.restype = ctypes.c_uint64
    function: Burst = burst
    return function


def _compile(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    for compiler in _compilers():
        # Another process may be at it too: each makes a file of its own, and whichever is renamed last stays.
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".so")
        os.close(handle)
        made = Path(name)
        try:
            done = subprocess.run(
                [*compiler, *_FLAGS, "-o", name, str(_SOURCE)], capture_output=True, timeout=_TIMEOUT_S, check=False
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
