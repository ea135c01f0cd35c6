"""Cuts the power at a sample of the flash operations of an update on an emulated chip, clean and torn.

The firmware of the board itself is updated, by the chip's own MicroPython, flash driver and littlefs, through the real
boot.py. After a cut the board starts by itself, and goes on until nothing is under way. `guest/chip_update_cuts.py` is
its main.py. Every cut, and many more, is tried on the unix port (`quaver.bench.update_cuts`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from quaver.board.guest import guest
from quaver.build import firmware_files
from quaver.build.packs import FOLDER
from quaver.build.tree import LISTING
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.setup import Setup
from quaver.errors import BoardError
from quaver.release.files import listing

OUTCOMES = ("confirmed", "taken back")
_SEQUENCE = "7"
_LIMIT_S = 300.0  # of real time, for a board to come to an end


@dataclass(frozen=True)
class Cut:
    """One cut. operation: of the update, 1 for its first; happened: whether it had so many. ended: "old" or "new";
    wrong: in words, "" when all was as it must be."""

    operation: int
    torn: bool
    happened: bool
    ended: str
    wrong: str


def _versions(board: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of a board's firmware, and the same with some changed, some new and some gone."""
    base = dict(firmware_files(board))
    main = guest(__file__, "chip_update_cuts").encode()
    old = {**base, "main.py": main + b"# old\n", f"{FOLDER}/gone": b"gone" * 300, "past/one": b"one" * 300}
    new = {**base, "main.py": main + b"# new\n", f"{FOLDER}/fresh": b"fresh" * 300, "future/deep/one": b"one" * 300}
    for path in sorted(path for path in base if path.startswith(f"{FOLDER}/"))[::9]:
        new[path] += b"\0"  # behind its last module, where nobody looks
    for files in (old, new):
        files[LISTING] += "".join(f"{path}\n" for path in sorted(files.keys() - base.keys())).encode()
    return old, new


def _flash(board: str, outcome: str) -> dict[str, bytes]:
    old, new = _versions(board)
    released = {path: data for path, data in new.items() if path != "boot.py"}
    named = listing(released)
    contents = [data for path, data in released.items() if old.get(path) != data]
    store = {f"store/{hashlib.sha256(data).hexdigest()[:32]}": data for data in [named, *contents]}
    digests = {
        name: {f"/{path}": hashlib.sha256(data).hexdigest() for path, data in files.items()}
        for name, files in (("old", old), ("new", new))
    }
    about = {"listing": hashlib.sha256(named).hexdigest(), "size": len(named), "outcome": outcome}
    own = {"config.json": b'{"node": "n1"}', "versions.json": json.dumps(digests).encode()}
    return {**old, **store, **own, "update.json": json.dumps(about).encode(), "order": b""}


def cut(kind: type[ChildBoard], outcome: str, operation: int, torn: bool) -> Cut:
    """Update a board, and cut its power at the operation-th flash operation. outcome: one of OUTCOMES.

    Raises BoardError.
    """
    with kind(Setup(files=_flash(kind.board, outcome))) as board:
        lines = _said(board, 1)
        board.cut_power(operation, torn)
        while lines[-1][0] == "ready":
            board.write_memory(int(lines[-1][1]), b"\1")
            lines = _said(board, len(lines) + 1)
    staged = sum(line[0] == "staged" for line in lines)
    starts = [line[1:] for line in lines if line[0] == "runs"]
    ended, number, left = lines[-1][1], lines[-1][2], lines[-1][3:]
    wrong = [f"started {' '.join(state)}" for state in starts if state[0] == "mixed" or state[1] == "lost"]
    if (ended, number) not in (("old", "0"), ("new", _SEQUENCE)):
        wrong.append(f"ended {ended} with sequence number {number}")
    if left:
        wrong.append(f"left behind: {' '.join(left)}")
    # without a cut: one start for the first, one on trial, and one more where it is taken back
    usual = 2 if outcome == "confirmed" else 3
    happened = len(starts) > usual or staged != 1 or (outcome == "confirmed" and ended == "old")
    return Cut(operation, torn, happened, ended, "; ".join(wrong))


def sample(kind: type[ChildBoard], outcome: str, every: int, first: int = 1) -> Iterator[Cut]:
    """Cuts at one of so many operations, clean and torn by turns, until the update has no more of them."""
    operation, torn = first, False
    missed = 0
    while missed < 2:  # one that fell upon the last start does not show
        done = cut(kind, outcome, operation, torn)
        missed = 0 if done.happened else missed + 1
        yield done
        operation += every
        torn = not torn


def _said(board: ChildBoard, count: int) -> list[list[str]]:
    """The guest's lines, once the count-th has come and the last one says that it is ready, or has ended."""
    until = time.monotonic() + _LIMIT_S
    while time.monotonic() < until:
        text = board.console().decode(errors="replace").replace("\r", "")
        lines = [line.split()[1:] for line in text.split("\n")[:-1] if line.startswith("U ")]
        if len(lines) >= count and lines[-1][0] in ("ready", "end"):
            return lines
        time.sleep(0.05)
    raise BoardError(f"the board did not come to an end within {_LIMIT_S:.0f} s: {text[-500:]}")
