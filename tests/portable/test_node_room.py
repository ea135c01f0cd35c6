"""Room on a small heap, on the real MicroPython over a real littlefs: in pieces, it still opens a file and a module."""

from collections.abc import Callable
from typing import Any

from quaver.build.compile import compile_mpy
from tests.programs import program

EXTRA = compile_mpy(b"number = 7\n", "more.py", "armv6m").hex()


def test_a_heap_in_pieces_opens_files_all_the_same(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "open_in_pieces")
    plain, found, after, free = micropython(code, argument=EXTRA, heap="256k")
    assert free > 50_000
    assert plain == "no memory"
    assert found == ["what it holds"] * 3
    assert after == "another"


def test_the_room_is_there_again_however_often_it_is_used(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "again_and_again")
    assert micropython(code, argument=EXTRA, heap="256k") == [50, "no memory"]


def test_without_any_room_a_file_that_is_read_is_not_taken_for_a_bad_one(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "no_room")
    assert micropython(code, argument=EXTRA, heap="256k") == [12, "no memory", "what it holds"]


def test_a_heap_in_pieces_reads_modules_and_gives_them_back(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "modules_in_pieces")
    plain, found, left = micropython(code, argument=EXTRA, heap="256k")
    assert plain == repr("no memory")
    assert found == [7, 7, 7]
    assert not left


def test_a_module_that_is_there_is_not_read_again(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "module_twice")
    assert micropython(code, argument=EXTRA) == [True, "no module named 'more'"]


def test_a_folder_is_given_back_with_all_in_it_and_this_module_stays(micropython: Callable[..., Any]) -> None:
    """Given twice over, too; a neighbour whose name begins alike is another folder."""
    code = program(__file__, "folder")
    left, noted, stays = micropython(code)
    assert left == ["build", "build.keys", "commander", "node", "node.room"]
    assert noted is False and stays
