"""Cuts the power at every flash operation of an update, clean and torn, and says what did not start as it must.

The update runs on the MicroPython unix port over littlefs on flash in memory, through the real boot.py: files fetched,
the change committed, the new version on trial, then confirmed or taken back. After each cut the board starts on what
flash holds then, and goes on until nothing is under way: it must run the old version or the new one, never a mixture,
with the node's own data as they were. `guest/update_cuts.py` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quaver.bench.guest_program import run_guest
from quaver.files.carried import payload


@dataclass(frozen=True)
class Trial:
    """One update on one kind of flash. outcome: what becomes of it. page: what littlefs programs at once, in bytes.

    inner_every: after every so many cuts the starts that follow are cut too, at each operation; 0 for never.
    """

    name: str
    outcome: str
    page: int = 256
    inner_every: int = 0


TRIALS = (
    Trial("confirmed", "confirmed", inner_every=25),
    Trial("on trial, and taken back", "taken back", inner_every=25),
    Trial("corrupt at its first start", "corrupt"),
    Trial("given up for want of a chunk", "given up"),
    Trial("confirmed, ESP32", "confirmed", page=32),
    Trial("taken back, ESP32", "taken back", page=32),
)
"""What `tools/update_cuts.py` tries. A littlefs page is 256 bytes on the Pico W and 32 on the ESP32."""


@dataclass(frozen=True)
class Tried:
    """operations: programs and erases of the update; cuts: tried at them; inner: tried in the starts after a cut; old,
    new: how often which version ran in the end; violations: in words.
    """

    operations: int
    cuts: int
    inner: int
    old: int
    new: int
    violations: tuple[str, ...]


def versions(scale: int) -> tuple[dict[str, str], dict[str, str]]:
    """The files of an old version and of a new one, path -> content: changed, added, removed, and left as they are.

    scale: how many modules each folder has.
    """
    old, new = {}, {}
    for folder in ("build", "dsp", "node"):
        for number in range(scale):
            path = f"{folder}/m{number}.mpy"
            old[path] = f"{path} of the old version" * (1 + 110 * (number % 3))
            new[path] = old[path] if number % 2 else old[path].replace("old", "new")
    for path in ("main.py", "board.mpy"):
        old[path], new[path] = f"{path} old" * 40, f"{path} new" * 40
    old |= {"node/gone.mpy": "gone", "past/one.mpy": "one" * 300, "past/two.mpy": "two", "module.mpy": "a module"}
    new |= {"node/fresh.mpy": "fresh" * 500, "future/one.mpy": "one" * 300, "module/__init__.mpy": "now a folder"}
    new |= {"lib/other/x.mpy": "a library", "future/deep/two.mpy": "two"}
    return old, new


def cut_everywhere(trial: Trial, scale: int, every: int = 1, boot: Callable[[str], str] = str) -> Tried:
    """Try every cut of an update of `versions(scale)`. every: cut at each of so many operations. boot: what
    to make of boot.py's source, to see it fail.

    Raises BoardError when MicroPython fails.
    """
    old, new = versions(scale)
    argument = {
        "boot": boot((payload("firmware") / "boot.py").read_text()),
        "old": old,
        "new": new,
        "outcome": trial.outcome,
        "page": trial.page,
        "blocks": 96,
        "inner_every": trial.inner_every,
        "every": every,
    }
    report = run_guest("update_cuts", argument, heap="16m", limit_s=3600)
    return Tried(**{**report, "violations": tuple(report["violations"])})
