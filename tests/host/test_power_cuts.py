"""An emulated board loses its power at flash operations, clean and torn: its journal keeps every promise it gave."""

import pytest

from quaver.build import firmware_files
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from tests.programs import program
from tests.waiting import wait_until

# A node's writes, told on the console before and after each; a sleep takes a line out of the chip before the next one.
MAIN = program(__file__, "main").encode()
CUTS = ((1, True), (4, False), (13, True), (26, True))


def _lines(board: ChildBoard, seen: int) -> list[list[str]]:
    """What the guest has said, whole lines, once there is more than `seen`."""

    def said() -> list[list[str]]:
        text = board.console().decode(errors="replace").replace("\r", "")
        return [line.split()[1:] for line in text.split("\n")[:-1] if line.startswith("J ")]

    wait_until(lambda: len(said()) > seen, board)
    return said()


@pytest.mark.parametrize("kind", [Rp2040Board, Esp32C3Board])
def test_cuts_at_flash_operations_break_no_promise(kind: type[ChildBoard]) -> None:
    files = {**firmware_files(kind.board), "main.py": MAIN}
    with kind(Setup(files=files)) as board:
        cuts = list(CUTS)
        boots = 0
        lines: list[list[str]] = []
        while not lines or lines[-1][0] != "end":
            lines = _lines(board, len(lines))
            started = sum(line[0] == "boot" for line in lines)
            if started > boots:
                boots = started
                if cuts:
                    board.cut_power(*cuts.pop(0))
    kept, sent, done = set(), set(), set()
    numbers = [int(line[1]) for line in lines if line[0] == "boot"]
    assert len(numbers) == len(CUTS) + 1
    assert numbers == sorted(set(numbers))
    for word, *rest in lines:
        key = tuple(map(int, rest[:2]))
        if word == "kept":
            kept.add(key)
        elif word == "sending":
            assert rest[2] == "1", f"{key} is altered"
            assert key not in done, f"{key} came back"
            sent.add(key)
        elif word == "done":
            done.add(key)
    assert kept <= sent
    assert len(kept) > 15
