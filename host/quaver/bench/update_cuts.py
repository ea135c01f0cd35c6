"""Cuts the power at every flash operation of an update, clean and torn, and says what did not start as it must.

The update runs on the MicroPython unix port over littlefs on flash in memory, through the real boot.py: files fetched,
the change committed, the new version on trial, then confirmed or taken back. After each cut the board starts on what
flash holds then, and goes on until nothing is under way: it must run the old version or the new one, never a mixture,
with the node's own data as they were. `guest/update_cuts.py` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quaver.bench.guest_program import run_guest
from quaver.build.packs import listed, packed
from quaver.build.tree import LISTING
from quaver.files.carried import payload
from quaver.release.patches import patches


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


def versions(scale: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of an old version and of a new one, path -> content: changed, added, removed, and left as they are.

    Most are packs of modules, as a node has them: in the new version some have another content, and some other
    modules. scale: how many modules more than three each folder has.
    """
    old, new = {}, {}
    for folder in ("build", "dsp", "node"):
        for number in range(3 + scale):
            path = f"{folder}/m{number}.mpy"
            old[path] = f"{path} of the old version".encode() * (1 + 32 * number)
            new[path] = old[path] if number % 2 else old[path].replace(b"old", b"new")
    old |= {"dsp/gone.mpy": b"gone" * 300}
    new |= {"node/fresh.mpy": b"fresh" * 500, "dsp/m1.mpy": new["dsp/m1.mpy"] * 2}
    loose_old = {f"{path}": f"{path} old".encode() * 40 for path in ("main.py", "board.mpy")}
    loose_new = {f"{path}": f"{path} new".encode() * 40 for path in ("main.py", "board.mpy")}
    loose_old |= {"past/one": b"one" * 300, "past/two": b"two", "module.mpy": b"a module"}
    loose_new |= {"future/one": b"one" * 300, "future/deep/two": b"two", "module/__init__.mpy": b"now a folder"}
    loose_new |= {"lib/other/x.mpy": b"a library"}
    return _files(old, loose_old), _files(new, loose_new)


def _files(modules: Mapping[str, bytes], loose: Mapping[str, bytes]) -> dict[str, bytes]:
    packs, index = packed(modules, in_place=False)
    files = {**packs, **loose}
    return {**files, LISTING: listed(files, index)}


def cut_everywhere(trial: Trial, scale: int, every: int = 1, boot: Callable[[str], str] = str) -> Tried:
    """Try every cut of an update of `versions(scale)`. every: cut at each of so many operations. boot: what
    to make of boot.py's source, to see it fail.

    Raises BoardError when MicroPython fails.
    """
    old, new = versions(scale)
    changed = [path for path in sorted(new) if path in old and old[path] != new[path]]
    some = {path: new[path] for path in changed[:-1:2]}  # the others are fetched whole
    argument = {
        "boot": boot((payload("firmware") / "boot.py").read_text()),
        "old": {path: data.hex() for path, data in old.items()},
        "new": {path: data.hex() for path, data in new.items()},
        "patches": patches([old], some).hex(),
        "outcome": trial.outcome,
        "page": trial.page,
        "blocks": 96,
        "inner_every": trial.inner_every,
        "every": every,
    }
    report = run_guest("update_cuts", argument, heap="16m", limit_s=3600)
    return Tried(**{**report, "violations": tuple(report["violations"])})
