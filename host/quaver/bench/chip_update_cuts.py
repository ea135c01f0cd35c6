"""Cuts the power at a sample of the flash operations of an update on an emulated chip, clean and torn.

The firmware of the board itself is updated, by the chip's own MicroPython, flash driver and littlefs, through the real
boot.py. After a cut the board starts by itself, and goes on until nothing is under way. `guest/chip_update_cuts.py` is
its main.py. Every cut, and many more, is tried on the unix port (`quaver.bench.update_cuts`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quaver.board.guest import guest
from quaver.board.image import read_image
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.flashable import compose
from quaver.build.packs import FOLDER
from quaver.build.partitions import application, read_partitions
from quaver.build.tree import LISTING
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.setup import Setup
from quaver.errors import BoardError
from quaver.release.files import listing
from quaver.release.patches import patches

OUTCOMES = ("confirmed", "taken back")
_SEQUENCE = "7"
_LIMIT_S = 300.0  # of real time, for a board to come to an end
_SECOND = "ota_1"  # of two partitions with MicroPython itself, the one that an update goes to


@dataclass(frozen=True)
class Cut:
    """One cut. operation: of the update, 1 for its first; happened: whether it had so many. ended: "old" or "new";
    wrong: in words, "" when all was as it must be."""

    operation: int
    torn: bool
    happened: bool
    ended: str
    wrong: str


def _versions(board: str, few: bool) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A board's firmware, and the same with some files changed, some new and some gone. few: as few as can be."""
    base = dict(firmware_files(board))
    main = guest(__file__, "chip_update_cuts").encode()
    old, new = {**base, "main.py": main + b"# old\n"}, {**base, "main.py": main + b"# new\n"}
    if not few:
        old |= {f"{FOLDER}/gone": b"gone" * 300, "past/one": b"one" * 300}
        new |= {f"{FOLDER}/fresh": b"fresh" * 300, "future/deep/one": b"one" * 300}
        for path in sorted(path for path in base if path.startswith(f"{FOLDER}/"))[::9]:
            new[path] += b"\0"  # behind its last module, where nobody looks
    for files in (old, new):
        files[LISTING] += "".join(f"{path}\n" for path in sorted(files.keys() - base.keys())).encode()
    return old, new


def _flash(board: str, outcome: str, slot: str) -> dict[str, bytes]:
    old, new = _versions(board, few=bool(slot))
    released = {path: data for path, data in new.items() if path != "boot.py"}
    named = listing(released)
    changed = [path for path, data in released.items() if old.get(path) != data]
    made = patches([old], {path: new[path] for path in changed[::2]})  # the others are fetched whole
    contents = [named, made, *(new[path] for path in changed)]
    store = {f"store/{hashlib.sha256(data).hexdigest()[:32]}": data for data in contents}
    digests = {
        name: {f"/{path}": hashlib.sha256(data).hexdigest() for path, data in files.items()}
        for name, files in (("old", old), ("new", new))
    }
    about = {
        "listing": hashlib.sha256(named).hexdigest(),
        "size": len(named),
        "patches": (hashlib.sha256(made).hexdigest(), len(made)),
        "outcome": outcome,
        "slot": slot,
    }
    own = {"config.json": b'{"node": "n1"}', "versions.json": json.dumps(digests).encode()}
    return {**old, **store, **own, "update.json": json.dumps(about).encode(), "order": b""}


def _two_images(board: str, files: dict[str, bytes]) -> bytes:
    """A whole flash of an ESP32 with two slots, each with an image of MicroPython: the second one's is the new one."""
    spec = load_board(board)
    image = read_image(spec)
    flash = bytearray(compose(spec, image, files, spec.flash.size, slots=True).file())
    start = spec.silicon.image_offset
    second = next(part for part in read_partitions(bytes(flash), start) if part.name == _SECOND)
    new = application(image, start)
    at = second.offset - start
    flash[at : at + len(new)] = new
    return bytes(flash)


def cut(kind: type[ChildBoard], outcome: str, operation: int, torn: bool, image: bool = False) -> Cut:
    """Update a board, and cut its power at the operation-th flash operation. outcome: one of OUTCOMES. image: few files
    change, and with them the image of MicroPython, which lies in the board's second slot: an ESP32.

    Raises BoardError.
    """
    files = _flash(kind.board, outcome, _SECOND if image else "")
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "flash.bin"
        if image:
            whole.write_bytes(_two_images(kind.board, files))
        with kind(Setup(image=whole) if image else Setup(files=files)) as board:
            lines = _said(board, 1)
            board.cut_power(operation, torn)
            while lines[-1][0] == "ready":
                board.write_memory(int(lines[-1][1]), b"\1")
                lines = _said(board, len(lines) + 1)
            happened = not board.cut_power(0, False)
    starts = [line[1:] for line in lines if line[0] == "runs"]
    ended, number, left = lines[-1][1], lines[-1][2], lines[-1][3:]
    wrong = [f"started {' '.join(state)}" for state in starts if state[0] == "mixed" or state[1] == "lost"]
    if (ended, number) not in (("old", "0"), ("new", _SEQUENCE)):
        wrong.append(f"ended {ended} with sequence number {number}")
    if outcome == OUTCOMES[1] and ended != "old":
        wrong.append("it was to be taken back")
    if left:
        wrong.append(f"left behind: {' '.join(left)}")
    return Cut(operation, torn, happened, ended, "; ".join(wrong))


def sample(kind: type[ChildBoard], outcome: str, every: int, image: bool = False) -> Iterator[Cut]:
    """Cuts at one of so many operations, clean and torn by turns, until the update has no more of them."""
    for number in itertools.count():
        done = cut(kind, outcome, 1 + number * every, bool(number % 2), image)
        if not done.happened:
            return
        yield done


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
