"""The transform on the chip: its assembly against the portable passes, and both against the plain twin."""

import ast
import sys
from pathlib import Path

import pytest

from quaver.board.interface import Board

PORTABLE = Path(__file__).resolve().parents[1] / "portable"
sys.path.append(str(PORTABLE))

import dsp_hostile  # noqa: E402
import dsp_twins as twin  # noqa: E402

SETS = """
import gc
from array import array
from dsp import fft, kernels, passes, passes_thumb
def both(n, blocks):
    used = []
    for fft.passes in (passes_thumb, passes):
        used.append(fft.RFFT(n))
    fft.passes = passes_thumb
    out = array("i", bytes(4 * n))
    answers = []
    for name, block in blocks:
        answers.append([name] + [(each.run(block, out), kernels.checksum(out, n)) for each in used])
    return answers
"""

RANDOM = """
def noise(n, count):
    seed = 12345
    block = array("h", bytes(2 * n))
    for k in range(count):
        for i in range(n):
            seed = (seed * 1103 + 12345) & 0xFFFFF
            block[i] = ((seed >> 4) - 32768) >> k * 5 % 13
        yield k, block
"""


@pytest.fixture
def thumb_board(board: Board) -> Board:
    """The board, if it is one whose transform is in assembly."""
    if board.exec("import sys; print(sys.platform)").strip() != "rp2":
        pytest.skip("this board's chip is not the RP2040: it has no passes in assembly")
    return board


def test_the_chip_uses_its_assembly_and_keeps_the_portable_passes_out_of_its_heap(thumb_board: Board) -> None:
    thumb_board.reset(run=False)  # forget what other tests imported
    code = """
import sys
import dsp.measurement
print(sorted(name for name in sys.modules if "passes" in name or "leaves" in name))
"""
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
    code = f"""
from array import array
from dsp import leaves_thumb
from dsp.kernels import address
held = array("h", bytes(128))
answers = []
for value in {values}:
    for at in (0, 63):
        held[at] = value
        answers.append(leaves_thumb.headroom(address(held), 0, 32))
        held[at] = 0
print(answers)
"""
    expected = [twin.headroom([0] * 63 + [value]) for value in values for _ in range(2)]
    assert ast.literal_eval(thumb_board.exec(code).strip()) == expected


def test_the_transform_allocates_nothing(thumb_board: Board) -> None:
    code = """
import micropython, gc
from array import array
from dsp.fft import RFFT
fft, src, out = RFFT(1024), array("h", bytes(2048)), array("i", bytes(4096))
def used():
    before = gc.mem_alloc()
    fft.run(src, out)
    return gc.mem_alloc() - before
used()
gc.collect()
print(used())
"""
    assert thumb_board.exec(code).strip() == "0"


def test_the_window_gives_the_same_bits_in_assembly_and_in_viper(thumb_board: Board) -> None:
    code = """
from array import array
from dsp import kernels, tables, taper, taper_thumb
seed = 7
block = array("h", bytes(2 * 4096))
for i in range(4096):
    seed = (seed * 1103 + 12345) & 0xFFFFF
    block[i] = (seed >> 4) - 32768
answers = []
# count, stride, first, step, mean, left: whole and brief measurements, even and odd samples, in place
for count, stride, first, step, mean, left in (
    (2048, 1, 0, 2, 0, 0), (2048, 2, 0, 2, -7, -1), (2048, 2, 1, 2, 9, -1), (64, 1, 0, 64, 300, 0),
    (256, 2, 8, 16, 0, 0),
):
    form = array("i", (count, mean, 15 - left, 1 << (14 - left), stride, first, step))
    outs = []
    for each in (taper.taper, taper_thumb.taper):
        out = array("h", bytes(2 * count + 4))
        source = kernels.address(block) + (2 if first else 0)
        if stride == 1:
            out[:count] = block[:count]
            source = kernels.address(out)
        each(source, out, tables.SINE, form)
        outs.append(bytes(out))
    answers.append((outs[0] == outs[1], max(out), min(out)))
print(answers)
"""
    answers = ast.literal_eval(thumb_board.exec(code, timeout=60.0).strip())
    assert [same for same, _, _ in answers] == [True] * 5
    assert all(high > 1000 and low < -1000 for _, high, low in answers)
