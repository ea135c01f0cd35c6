"""The C transforms that ours is held against, each compiled for the RP2040 as one flat piece of code (c_code/start.h).

The compiler is Clang as the package `ziglang` carries it. The sources come from packages on the Python registry, and
neither is needed for anything else.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quaver.errors import BuildError
from quaver.files.pinned import Artifact, Package, Progress, fetch

INSTALL = "pip install quaver[bench]"

# Nothing of a C library, no fused multiply-add, constants beside the code, and as fast as Clang makes it. For that it
# is called past `zig cc`, which takes -O3 for -O2.
_COMPILE = (
    "clang", "-c", "-target", "thumbv6m-none-eabi", "-mcpu=cortex-m0plus", "-O3", "-ffreestanding", "-fno-builtin",
    "-ffp-contract=off", "-fropi", "-ffunction-sections", "-fdata-sections", "-w",
)  # fmt: skip
# Past `zig cc` too, and with no `zig objcopy`: those two would first be built, for a minute of a processor.
_LINK = ("ld.lld", "--entry=start", "--gc-sections", "-s", "--oformat", "binary")


@dataclass(frozen=True)
class CTransform:
    """A transform of somebody else's.

    title: as a table shows it. glue: c_code/<glue>.c. source: its package file, unpacked for the compiler. folders: of
    the package, where sources and headers are looked for. headers: of which the glue has what is taken from them.
    floats: single precision, with the chip's routines; else 16-bit integers.
    """

    title: str
    glue: str
    source: Artifact
    folders: tuple[str, ...]
    headers: tuple[str, ...]
    options: tuple[str, ...] = ()
    floats: bool = False


def _sdist(project: str, version: str, filename: str, sha256: str) -> Artifact:
    return Artifact("packages", filename, sha256, package=Package(project, version, filename, sha256))


EMLEARN = CTransform(
    "emlearn's C float FFT",
    "emlearn",
    _sdist(
        "emlearn",
        "0.23.2",
        "emlearn-0.23.2.tar.gz",
        "bc18c156e571cb77344adeaa911a073e16dcb1f4f37239ede947ca665e0e08bc",
    ),
    ("emlearn-0.23.2/emlearn",),
    ("math.h", "stdio.h", "stdlib.h"),
    floats=True,
)
CMSIS_DSP = CTransform(
    "CMSIS-DSP's arm_rfft_q15",
    "cmsis_dsp",
    _sdist(
        "cmsisdsp",
        "1.10.3",
        "cmsisdsp-1.10.3.tar.gz",
        "307d32298faa7c58db912851027fce35f886fec7eb1a27c4b309ce1a97f47519",
    ),
    tuple(
        f"cmsisdsp-1.10.3/{folder}"
        for folder in (
            "Include",
            "PrivateInclude",
            "Source/BasicMathFunctions",
            "Source/CommonTables",
            "Source/TransformFunctions",
        )
    ),
    ("math.h", "string.h"),
    ("-D__GNUC_PYTHON__",),  # so it needs no header of CMSIS-Core, whose instructions a Cortex-M0+ has not
)
KISSFFT = CTransform(
    "kissfft's kiss_fftr, int16",
    "kissfft",
    _sdist(
        "pymicro-features",
        "2.0.2",
        "pymicro_features-2.0.2.tar.gz",
        "0d0bed7843ec78b6ced82d1a2dcddeb4fe5df61b3af80a281d0868c8e279c727",
    ),
    ("pymicro_features-2.0.2/kissfft",),
    ("math.h", "stdio.h", "stdlib.h", "string.h"),
)
C_TRANSFORMS = (CMSIS_DSP, KISSFFT, EMLEARN)


def has_compiler() -> bool:
    """Whether the package `ziglang` is installed."""
    return importlib.util.find_spec("ziglang") is not None


def compile_transform(transform: CTransform, progress: Progress | None = None) -> bytes:
    """The code, to be put anywhere in the RAM of an RP2040.

    Raises ArtifactError when the source can't be fetched, BuildError when it doesn't compile.
    """
    import ziglang

    source = fetch(transform.source, progress)
    own = Path(__file__).with_name("c_code")
    with tempfile.TemporaryDirectory(prefix="quaver-") as name:
        folder = Path(name)
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        for header in transform.headers:
            (folder / header).touch()
        places = [folder, *(folder / place for place in transform.folders)]
        includes = [argument for place in places for argument in ("-I", str(place))]
        includes += ["-isystem", str(Path(ziglang.__file__).with_name("lib") / "include")]
        compiled, code = (str(folder / file) for file in ("compiled.o", "code"))
        _zig(transform, *_COMPILE, *transform.options, *includes, "-o", compiled, str(own / f"{transform.glue}.c"))
        _zig(transform, *_LINK, "-T", str(own / "flat.ld"), "-o", code, compiled)
        return Path(code).read_bytes()


def _zig(transform: CTransform, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ziglang", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), "it gave no reason")
        raise BuildError(f"{transform.title} can't be compiled by ziglang: {reason}: {INSTALL}")
