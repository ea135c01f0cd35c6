"""An emulated board loses its power in an update of its own firmware: it runs the old version or the new one.

`tools/update_cuts.py --board` tries more of the operations.
"""

import pytest

from quaver.bench.chip_update_cuts import cut
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.rp2040 import Rp2040Board


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "outcome", "operation", "torn", "image"),
    [
        pytest.param(Rp2040Board, "confirmed", 61, True, False, marks=pytest.mark.nightly),
        pytest.param(Esp32C3Board, "taken back", 126, False, True, marks=pytest.mark.nightly),
    ],
)
def test_a_cut_in_an_update_leaves_no_mixture(
    kind: type[ChildBoard], outcome: str, operation: int, torn: bool, image: bool
) -> None:
    """image: with MicroPython itself, behind its first start."""
    found = cut(kind, outcome, operation, torn, image)
    assert found.happened
    assert not found.wrong
    assert outcome == "confirmed" or found.ended == "old"
