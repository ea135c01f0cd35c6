"""Code in place on the chip: what a module's functions run from is its file in flash, and the heap is spared a copy."""

from collections.abc import Callable, Iterator

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.build.compile import compile_mpy
from quaver.build.packs import listed, packed
from quaver.build.tree import LISTING
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.pytest_plugin import Target
from tests.programs import program

pytestmark = pytest.mark.each_chip

MODULE = program(__file__, "made", TABLE=bytes(range(256)) * 8)
SAID = "36 4 not by 0 45 28 [3, 3, 2, 1] 602 nameconstants"
ARCH = {"pico_w": "armv6m", "esp32_c3": "rv32imc"}
# The first byte of the addresses where code lies: of the heap, of flash, and of machine code that is used in place and
# not. An ESP32-C3 has no assembler for `thumb`; its machine code is copied to RAM of ESP-IDF's where it is no jump.
HEAP = {"pico_w": 0x20, "esp32_c3": 0x3F}
FLASH = {"pico_w": 0x10, "esp32_c3": 0x3C}
MACHINE = {"pico_w": (0x20, 0x10), "esp32_c3": (0x40, 0x42)}
PORTABLE = """@micropython.viper
def thumb(x: int) -> int:
    return 3 * x + 1


"""
BEGIN = program(__file__, "begin")


def source(board: str) -> bytes:
    """More than a block of it."""
    before, _, rest = MODULE.partition("@micropython.asm_thumb\n")
    module = MODULE if board == "pico_w" else before + PORTABLE + rest[rest.index("def later") :]
    return (module + f"def long(x):\n    return {' + '.join(['x'] * 301)}\n").encode()


@pytest.fixture(scope="module")
def board(board_target: Target) -> Iterator[Board]:
    name = board_target.board
    if name not in ARCH:
        pytest.skip(f"{board_target}: its flash is no memory")
    files = {path: data for path, data in firmware_files(name).items() if path != "main.py"}
    mpy = compile_mpy(source(name), "made.py", ARCH[name])
    small = compile_mpy(b"def f(a):\n    return a + a + a + a + a\n", "small.py", ARCH[name])
    fresh: dict[str, bytes] = {}
    for path, module, in_place in (
        ("made/small.mpy", small, True),
        ("made/before.mpy", mpy, True),
        ("made/made.mpy", mpy, True),
        ("made/plain.mpy", mpy, False),
        ("made/fresh.mpy", mpy, True),
    ):
        pack, index = packed({path: module}, in_place)
        files[LISTING] += listed(pack, index)
        if "fresh" in path:
            fresh = pack
        else:
            files |= pack
    with open_board(board_target.where, Setup(files=files)) as board:
        for path, data in fresh.items():
            board.put(path, data)
        board.exec(BEGIN)
        yield board


@pytest.fixture
def look(board: Board) -> Callable[[str], tuple[str, str]]:
    def look(name: str) -> tuple[str, str]:
        places, said = board.exec(program(__file__, "where", name=name)).strip().splitlines()
        return places, said

    return look


def seen(board: str, in_flash: bool) -> tuple[str, str]:
    """What the program says where everything is in flash that can be, or nothing is."""
    place, machine = (FLASH if in_flash else HEAP)[board], MACHINE[board][in_flash]
    thumb = machine if board == "pico_w" else 0  # of viper's function the second word is empty
    return f"{[place, machine, machine, place, place]} {thumb} {place} {place} {place}", SAID


def test_code_tables_and_texts_are_used_in_flash(board_target: Target, look: Callable[[str], tuple[str, str]]) -> None:
    assert look("made") == seen(board_target.board, True)


def test_what_is_to_outlive_the_program_stays(board_target: Target, look: Callable[[str], tuple[str, str]]) -> None:
    assert look("before") == seen(board_target.board, False)


def test_a_module_that_is_not_laid_out_is_read_as_ever(
    board_target: Target, look: Callable[[str], tuple[str, str]]
) -> None:
    assert look("plain") == seen(board_target.board, False)


def test_a_pack_in_its_folder_s_own_block_is_left_alone(board_target: Target, board: Board) -> None:
    place = int(board.exec("import machine\nfrom made import small\nprint(machine.mem32[id(small.f) + 12] >> 24)"))
    assert place == HEAP[board_target.board]


def test_a_pack_that_came_by_the_cable_is_used_too(
    board_target: Target, look: Callable[[str], tuple[str, str]]
) -> None:
    assert look("fresh") == seen(board_target.board, True)


def test_objects_of_another_micropython_are_left_alone(board: Board) -> None:
    said = board.exec(program(__file__, "another"))
    assert said.strip() == "True"


def test_the_table_of_names_grows_by_small_pieces(board: Board) -> None:
    known, told = board.exec(program(__file__, "names"), timeout=120).strip().splitlines()
    assert known == "1500"  # each under its name
    found = dict(part.split("=") for part in told.partition(": ")[2].split(", "))
    # Seven bytes an entry and 24 a pool: MicroPython's own doubling has pools for 2,540 names here, 9 kB in one piece.
    tables = int(found["n_total_bytes"]) - int(found["n_str_data_bytes"])
    assert tables < 7 * (int(found["n_qstr"]) + 512) + 40 * int(found["n_pool"])
