"""Code in place on the chip: what a module's functions run from is its file in flash, and the heap is spared a copy."""

from collections.abc import Callable, Iterator

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.build.compile import compile_mpy
from quaver.build.in_place import laid_out
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.pytest_plugin import Target

MODULE = """
import micropython
TABLE = {table!r}
class Class:
    def method(self, n):
        return sum(TABLE[:n])
@micropython.native
def native(a, b):
    try:
        return a // b
    except ZeroDivisionError:
        return "not by 0"
@micropython.viper
def viper(n: int) -> int:
    x = 0
    while n:
        x += n
        n -= 1
    return x
@micropython.asm_thumb
def thumb(r0):
    mov(r1, 3)
    mul(r0, r1)
    add(r0, 1)
    mov(r2, r0)
    mov(r0, r2)
    add(r0, 1)
    sub(r0, 1)
def later(n):
    yield n
    yield from range(n, 0, -1)
def long(x):
    return {long}
"""
WHERE = """
import machine, {name} as made
def where(thing, word=12):
    return machine.mem32[id(thing) + word] >> 24
things = made.Class.__dict__["method"], made.native, made.viper, made.later, made.long
print([where(thing) for thing in things], where(made.thumb, 8), where(made.TABLE))
print(made.Class().method(9), made.native(9, 2), made.native(1, 0), made.viper(9), made.thumb(9), list(made.later(3)),
      made.long(2))
"""
SAID = "36 4 not by 0 45 28 [3, 3, 2, 1] 602"
HEAP, FLASH = 0x20, 0x10
BEGIN = """
import before, board
from hal.chip import in_place
in_place._STAY += ("before",)
in_place.begin(board)
"""


def source() -> bytes:
    """More than a block of it."""
    return MODULE.format(table=bytes(range(256)) * 8, long=" + ".join(["x"] * 301)).encode()


@pytest.fixture(scope="module")
def board(board_target: Target) -> Iterator[Board]:
    if board_target.where != "rp2040:":
        pytest.skip(f"{board_target}: its flash is no memory")
    files = {path: data for path, data in firmware_files("pico_w").items() if path != "main.py"}
    mpy = compile_mpy(source(), "made.py", "armv6m")
    files |= {"before.mpy": laid_out(mpy), "made.mpy": laid_out(mpy), "plain.mpy": mpy}
    files["small.mpy"] = laid_out(compile_mpy(b"def f(a):\n    return a + a + a + a + a\n", "small.py", "armv6m"))
    with open_board("rp2040:", Setup(files=files)) as board:
        board.exec(BEGIN)
        yield board


@pytest.fixture
def look(board: Board) -> Callable[[str], tuple[str, str]]:
    def look(name: str) -> tuple[str, str]:
        places, said = board.exec(WHERE.format(name=name)).strip().splitlines()
        return places, said

    return look


def test_functions_and_tables_are_used_in_flash(look: Callable[[str], tuple[str, str]]) -> None:
    assert look("made") == (f"{[FLASH] * 5} {FLASH} {FLASH}", SAID)


def test_what_is_to_outlive_the_program_stays(look: Callable[[str], tuple[str, str]]) -> None:
    assert look("before") == (f"{[HEAP] * 5} {HEAP} {HEAP}", SAID)


def test_a_file_that_is_not_laid_out_is_read_as_ever(look: Callable[[str], tuple[str, str]]) -> None:
    assert look("plain") == (f"{[HEAP] * 5} {HEAP} {HEAP}", SAID)


def test_a_file_in_its_folder_s_own_block_is_left_alone(board: Board) -> None:
    assert int(board.exec("import machine, small\nprint(machine.mem32[id(small.f) + 12] >> 24)")) == HEAP


def test_a_file_that_came_by_the_cable_is_used_too(board: Board, look: Callable[[str], tuple[str, str]]) -> None:
    board.put("fresh.mpy", laid_out(compile_mpy(source(), "fresh.py", "armv6m")))
    assert look("fresh") == (f"{[FLASH] * 5} {FLASH} {FLASH}", SAID)


def test_objects_of_another_micropython_are_left_alone(board: Board) -> None:
    said = board.exec(
        "import board, builtins\nfrom hal.chip import in_place\nin_place.end()\nin_place._KNOWN = (1, 99)\n"
        "in_place.begin(board)\nprint(builtins.__import__ is in_place._import)"
    )
    assert said.strip() == "True"
