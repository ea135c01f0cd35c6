"""The transform on the chip: its assembly against the portable passes, and both against the plain twin."""

import ast
import sys
from pathlib import Path

import pytest

from quaver.board.interface import Board
from tests.programs import program

PORTABLE = Path(__file__).resolve().parents[1] / "portable"
sys.path.append(str(PORTABLE))

import dsp_hostile  # noqa: E402
import dsp_twins as twin  # noqa: E402

SETS = program(__file__, "sets")

RANDOM = program(__file__, "noise")


@pytest.fixture
def thumb_board(board: Board) -> Board:
    """The board, if it is one whose transform is in assembly."""
    if board.exec("import sys; print(sys.platform)").strip() != "rp2":
        pytest.skip("this board's chip is not the RP2040: it has no passes in assembly")
    return board


def test_the_chip_uses_its_assembly_and_keeps_the_portable_passes_out_of_its_heap(thumb_board: Board) -> None:
    thumb_board.reset(run=False)  # forget what other tests imported
    thumb_board.exec("import packs\npacks.mount()")  # if boot.py could not
    code = program(__file__, "imported")
    assert ast.literal_eval(thumb_board.exec(code).strip()) == ["dsp.leaves_thumb", "dsp.passes_thumb"]


@pytest.mark.parametrize("n", [64, 128, 512])
def test_hostile_signals_give_the_same_bits_in_assembly_in_viper_and_by_the_twin(thumb_board: Board, n: int) -> None:
    source = (PORTABLE / "dsp_hostile.py").read_text()
    got = ast.literal_eval(thumb_board.exec(f"{source}\n{SETS}\nprint(both({n}, blocks({n})))", timeout=120.0).strip())
    for (name, block), (told, thumb, viper) in zip(dsp_hostile.blocks(n), got, strict=True):
        exponent, words = twin.rfft(block)
        assert (told, thumb, viper) == (name, *[(exponent, twin.checksum(words))] * 2)


@pytest.mark.parametrize("n", [64, 128, 256, 512, 1024, 2048, 4096])
def test_random_signals_of_every_loudness_give_the_same_bits_in_assembly_and_in_viper(
    thumb_board: Board, n: int
) -> None:
    count = max(2, min(16, 4096 // n))
    code = f"{SETS}\n{RANDOM}\nprint(both({n}, noise({n}, {count})))"
    got = ast.literal_eval(thumb_board.exec(code, timeout=120.0).strip())
    assert len(got) == count
    for _, thumb, viper in got:
        assert thumb == viper


def test_every_headroom(thumb_board: Board) -> None:
    values = sorted({sign * (1 << bit) + less for bit in range(16) for sign in (1, -1) for less in (-1, 0)})
    values = [value for value in values if -32768 <= value < 32768]
    code = program(__file__, "headroom", values=values)
    expected = [twin.headroom([0] * 63 + [value]) for value in values for _ in range(2)]
    assert ast.literal_eval(thumb_board.exec(code).strip()) == expected


def test_the_transform_allocates_nothing(thumb_board: Board) -> None:
    code = program(__file__, "memory")
    assert thumb_board.exec(code).strip() == "0"


def test_the_window_gives_the_same_bits_in_assembly_and_in_viper(thumb_board: Board) -> None:
    code = program(__file__, "window")
    answers = ast.literal_eval(thumb_board.exec(code, timeout=60.0).strip())
    assert [same for same, _, _ in answers] == [True] * 5
    assert all(high > 1000 and low < -1000 for _, high, low in answers)


def test_values_between_have_the_same_bits_in_assembly_and_in_viper(thumb_board: Board) -> None:
    answers = ast.literal_eval(thumb_board.exec(program(__file__, "between"), timeout=60.0).strip())
    assert [same for same, _ in answers] == [True] * 5
    assert [filled for _, filled in answers] == [300, 993, 2048, 9, 0]


def test_sums_over_spectra_are_the_same_in_assembly_and_in_viper(thumb_board: Board) -> None:
    answers = ast.literal_eval(thumb_board.exec(program(__file__, "sums"), timeout=60.0).strip())
    assert [same for same, *_ in answers] == [True] * 5
    assert [places for _, places, *_ in answers] == [13, 0, 0, 0, 0]
    assert [(some, total) for *_, some, total in answers] == [(True, True)] * 4 + [(False, False)]
