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
from tests.programs import program

MODULE = program(__file__, "made", TABLE=bytes(range(256)) * 8)
SAID = "36 4 not by 0 45 28 [3, 3, 2, 1] 602"
HEAP, FLASH = 0x20, 0x10
BEGIN = program(__file__, "begin")


def source() -> bytes:
    """More than a block of it."""
    return (MODULE + f"def long(x):\n    return {' + '.join(['x'] * 301)}\n").encode()


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
        places, said = board.exec(program(__file__, "where", name=name)).strip().splitlines()
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
    said = board.exec(program(__file__, "another"))
    assert said.strip() == "True"
