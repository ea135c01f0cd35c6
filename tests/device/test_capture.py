"""A capture on the board itself: nothing allocated, and the same numbers whatever the processor."""

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from tests.programs import program

from .conftest import signal

pytestmark = pytest.mark.each_chip

CAPTURE = Path(__file__).with_name("programs").joinpath("capture.py").read_text()
LOCKED = program(__file__, "locked")
MEASURE = program(__file__, "measure")


def new_rig() -> tuple[Attached, ...]:
    return (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("or007_6"))),)


@pytest.mark.needs_sensor("iis3dwb")
def test_the_capture_loop_allocates_nothing_and_loses_nothing(board: Board) -> None:
    dropped, rate, jitter_us = ast.literal_eval(board.exec(CAPTURE + LOCKED).strip())
    assert dropped == 0
    assert rate == pytest.approx(26667, rel=0.0005)
    assert jitter_us < 37.5  # a sample's time: the model's clock is even, and is read in whole samples


def test_the_same_capture_gives_the_same_result_on_every_board(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    here = start_board(files=board_files, rig=new_rig())
    stage, floats = ast.literal_eval(here.exec(CAPTURE + MEASURE).strip())
    files = {path: data for path, data in firmware_files("unix").items() if path != "main.py"}
    with open_board("unix:", Setup(files=files, rig=new_rig())) as reference:
        expected, wanted = ast.literal_eval(reference.exec(CAPTURE + MEASURE).strip())
    assert stage == expected
    assert floats == pytest.approx(wanted, rel=1e-5)
