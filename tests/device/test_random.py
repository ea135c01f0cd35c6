"""Random numbers of a board, from the sources of noise that it has."""

import ast

import pytest

from quaver.board.interface import Board
from quaver.pytest_plugin import Target
from tests.programs import program

pytestmark = pytest.mark.each_chip

SOURCES = {"rp2040:": ["ring oscillator", "adc"]}


def test_a_board_s_noise_passes_its_tests_and_an_esp32_has_its_radio_on_for_it(
    board: Board, board_target: Target
) -> None:
    numbers, sources, failed, radio = ast.literal_eval(board.exec(program(__file__, "draw")).strip())
    assert numbers == 4  # all different
    assert sources == SOURCES.get(board_target.where, ["generator"])
    assert failed == []
    assert radio in (None, True)
