"""The C float FFT that ours is held against: emlearn's, compiled for the RP2040 as one flat piece of code.

The compiler is Clang as the package `ziglang` carries it, the source is taken from emlearn's own package; neither is
needed for anything else. The arithmetic is that of the chip's bootrom, as for MicroPython and for the Pico SDK.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from quaver.errors import BuildError
from quaver.files.pinned import Artifact, Package, Progress, fetch

EMLEARN = Artifact(
    folder="packages",
    name="eml_fft.h",
    sha256="ec632043b6886c8cac5b0720f1889b130c1b06fed84718b63001ca65c216c6e7",
    package=Package(
        project="emlearn",
        version="0.23.2",
        filename="emlearn-0.23.2.tar.gz",
        sha256="bc18c156e571cb77344adeaa911a073e16dcb1f4f37239ede947ca665e0e08bc",
    ),
    member="emlearn-0.23.2/emlearn/eml_fft.h",
)
"""emlearn's FFT (MIT): radix 2, complex, single precision, its sines and cosines in tables."""

# Nothing of a C library, no fused multiply-add, and as fast as Clang makes it.
_OPTIONS = (
    "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus", "-O3", "-s", "-nostdlib", "-ffreestanding",
    "-fno-builtin", "-ffp-contract=off", "-fno-sanitize=all", "-Wl,--entry=start",
)  # fmt: skip


def has_compiler() -> bool:
    """Whether the package `ziglang` is installed."""
    return importlib.util.find_spec("ziglang") is not None


def compile_float_fft(progress: Progress | None = None) -> bytes:
    """The code, to be put anywhere in the RAM of an RP2040; float_fft.c says how it is laid out.

    Raises ArtifactError when the source can't be fetched, BuildError when it doesn't compile.
    """
    source = fetch(EMLEARN, progress)
    with tempfile.TemporaryDirectory(prefix="quaver-") as name:
        folder = Path(name)
        shutil.copyfile(source, folder / "eml_fft.h")
        for header in ("math.h", "eml_common.h"):  # what eml_fft.h takes from them is in float_fft.c
            (folder / header).touch()
        glue = Path(__file__).with_name("float_fft.c")
        _zig("cc", *_OPTIONS, "-I", name, "-o", str(folder / "linked"), str(glue))
        _zig("objcopy", "-O", "binary", "-j", ".text", str(folder / "linked"), str(folder / "code"))
        return (folder / "code").read_bytes()


def _zig(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ziglang", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), "it gave no reason")
        raise BuildError(f"emlearn's FFT can't be compiled by ziglang: {reason}: pip install quaver[bench]")
