"""A .mpy whose functions can be used where they lie in flash: the same module, each piece in one block and aligned."""

import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from quaver.build import firmware_files
from quaver.build.compile import compile_mpy
from quaver.build.in_place import laid_out
from quaver.build.tree import without_packs
from quaver.errors import BuildError
from tests.programs import program

MICROPYTHON = str(Path(sys.executable).with_name("micropython"))
LONG = "".join(f"def f{n}(x):\n    return x * {n} + len('{'of some length ' * 9}')\n" for n in range(400))
CODE = LONG + program(__file__, "made", TABLE=bytes(range(256)) * 3)
SHOW = program(__file__, "show")


def table(mpy: bytes) -> list[tuple[int, int]]:
    """(offset, length and flag) of each, as the table behind the module has them."""
    assert mpy[-2:] == b"FL"
    (count,) = struct.unpack("<H", mpy[-4:-2])
    return list(struct.iter_unpack("<HH", mpy[len(mpy) - 4 - 4 * count : -4]))


def pieces(mpy: bytes) -> list[tuple[int, int]]:
    """(offset, length) of each."""
    return [(offset, length & 0x7FFF) for offset, length in table(mpy)]


def blocks(size: int) -> list[int]:
    """Where in a file of littlefs its blocks of 4,096 bytes begin: all but the first hold pointers too."""
    starts = [0, 4096]
    for number in range(1, 20):
        pointers = 1
        while not number >> pointers - 1 & 1:
            pointers += 1
        starts.append(starts[-1] + 4096 - 4 * pointers)
    return [start for start in starts if start < size]


def run(folder: Path, mpy: bytes) -> str:
    (folder / "made.mpy").write_bytes(mpy)
    return subprocess.run([MICROPYTHON, "-c", SHOW], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_it_is_the_same_module(tmp_path: Path) -> None:
    plain = compile_mpy(CODE.encode(), "made.py", "x64")
    assert len(plain) > 3 * 4096
    assert run(tmp_path, laid_out(plain)) == run(tmp_path, plain)


@pytest.mark.parametrize("arch", ["x64", "armv6m"])
def test_each_piece_lies_in_one_block(arch: str) -> None:
    mpy = laid_out(compile_mpy(CODE.encode(), "made.py", arch))
    found = pieces(mpy)
    assert len(found) > 404
    lengths = [length for _, length in found]
    assert lengths == sorted(lengths, reverse=True)
    starts = [*blocks(len(mpy)), len(mpy)]
    for offset, length in found:
        assert any(start <= offset and offset + length <= end for start, end in pairwise(starts))
    (table,) = [offset for offset, length in found if length == 256 * 3 + 1]
    assert mpy[table : table + 768] == bytes(range(256)) * 3
    assert table % 4 == 0


def test_machine_code_begins_at_a_multiple_of_four() -> None:
    """Of all the firmware of a Pico W: what is no bytecode, and no text, does."""
    files = without_packs(firmware_files("pico_w"))
    for path in ("dsp/streams.mpy", "dsp/passes_thumb.mpy", "dsp/leaves_thumb.mpy", "dsp/kernels.mpy"):
        assert all(offset % 4 == 0 for offset, _ in pieces(files[path])), path
    kept = sum(length for path, data in files.items() if "/" in path for _, length in pieces(data))
    assert kept > 85_000


@pytest.mark.parametrize("arch", ["armv6m", "rv32imc"])
def test_machine_code_that_is_entered_at_its_beginning_alone_is_told(arch: str) -> None:
    code = (
        "import micropython\n@micropython.native\ndef f(a):\n    return a + a + a + a + a + a\n"
        "@micropython.viper\ndef g(a: int) -> int:\n    return a * a * a * a * a * a\n"
        "@micropython.native\ndef h(a):\n    yield a + a + a + a + a + a\n"
        "def i(a):\n    return a + a + a + a + a + a + a + a\n"
    )
    found = sorted(table(laid_out(compile_mpy(code.encode(), "made.py", arch))))
    assert [length >> 15 for _, length in found] == [1, 1, 0, 0]


def test_other_boards_get_plain_files() -> None:
    assert not [path for path, data in firmware_files("esp32").items() if data.endswith(b"FL")]


@pytest.mark.parametrize("broken", [b"", b"M\x06", b"C\x05\x00\x1f" + bytes(20), b"M\x06\x00\x1f\x01\x00\x7e"])
def test_what_is_no_mpy_is_refused(broken: bytes) -> None:
    with pytest.raises(BuildError, match="mpy"):
        laid_out(broken)
    with pytest.raises(BuildError, match="longer"):
        laid_out(compile_mpy(b"A = 1\n", "a.py", "x64") + b"more")
