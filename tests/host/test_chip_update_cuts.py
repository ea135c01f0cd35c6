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
    ("kind", "outcome", "operation", "torn"),
    [(Rp2040Board, "confirmed", 61, True), (Esp32C3Board, "taken back", 44, False)],
)
def test_a_cut_in_an_update_leaves_no_mixture(kind: type[ChildBoard], outcome: str, operation: int, torn: bool) -> None:
    found = cut(kind, outcome, operation, torn)
    assert found.happened
    assert not found.wrong
    assert outcome == "confirmed" or found.ended == "old"
