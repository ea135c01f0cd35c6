"""Sync: updates the firmware on a board that runs MicroPython, over its raw REPL.

What differs by its hash is staged beside its place (`code/node.measure.new`; a folder that is new, whole:
`gateway.new/…`), verified there, and committed by one rename: of the plan, a list of steps that firmware/boot.py
completes at every start. So a power cut at any moment leaves the old firmware or the new one:

    idle --files that differ--> staging --every hash is right--> sync.plan.new --rename--> sync.plan --boot.py--> idle
    a cut while staging: the old firmware runs; the next sync keeps what arrived whole
    a cut once there is a plan: boot.py completes it before anything of the firmware is imported

Each step of a plan stays in one folder: littlefs does that in one commit, where a move to another folder takes two,
and a cut between them was seen to hide a third file.

The node's own data (its configuration, journal, keys, what it has learned) are not the firmware's and never touched.
"""

from __future__ import annotations

import ast
import binascii
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quaver.board.failures import KnownFailure
from quaver.board.guest import guest
from quaver.board.repl import ConsoleBoard, DeviceError, Exec, failed_with
from quaver.board.spec import BoardSpec, board_names, load_board
from quaver.build import tree
from quaver.build.libraries import device_libraries
from quaver.build.packs import FOLDER
from quaver.build.tree import LISTING, firmware_files

PLAN = "/" + tree.PLAN
_NEW = ".new"
_OLD = ".old"  # what an update over the air keeps until it is confirmed
_LFS_ERR_CORRUPT = 84  # littlefs's own, in lfs.h; to this system it is another error

_CHUNK = 1536  # bytes of a file in one piece of code: 2 KiB of base64, which the smallest heap compiles
_TIMEOUT_S = 15.0  # for one exec: a flash that erases, or the hash of a whole tree on a slow chip


@dataclass(frozen=True)
class About:
    """What a board at its prompt says of itself.

    platform, machine, interpreter, version: of MicroPython's sys ("rp2", "Raspberry Pi Pico W with RP2040",
    "micropython", (1, 27, 0)); mpy:
    sys.implementation._mpy, 0 for none. board: (name, chip, version) of the firmware that is on it. completes:
    whether its boot.py completes a plan. listed: that firmware's top-level files and its
    folders, those with a slash. room: (block size, free blocks),
    (0, errno) where the file system does not say, None without one. release_key: the id of the key that it trusts with
    releases, hexadecimal, "" for none.
    """

    platform: str
    machine: str
    interpreter: str
    version: tuple[int, ...]
    mpy: int
    wifi: bool
    board: tuple[str, str, str] | None
    completes: bool
    listed: tuple[str, ...]
    room: tuple[int, int] | None
    release_key: str = ""


@dataclass
class Outcome:
    """What a sync did. changed, removed: paths on the device; seconds: real time, without the board's start."""

    board: str
    files: int
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0


Progress = Callable[[int, int], None]
"""Called with the bytes that have been written and those that there are."""


def current_firmware(board: str) -> dict[str, bytes]:
    """The files that belong on a board of that name now, path -> bytes: the firmware and its libraries.

    Raises what `firmware_files` raises.
    """
    return firmware_files(board) | device_libraries(load_board(board))


def ask(run: Exec) -> About:
    """What the board says of itself. Raises KnownFailure, DeviceError, BoardError."""
    code = guest(__file__, "survey") + guest(__file__, "about", plan=PLAN, listing=LISTING)
    found = said(run(code, timeout=_TIMEOUT_S))
    if "lacks" in found:
        raise KnownFailure("lacking_image", module="hashlib or binascii")
    platform, machine, interpreter, version = found["machine"][0]
    return About(
        platform,
        machine,
        interpreter=interpreter,
        version=version,
        mpy=found["mpy"][0],
        wifi=found["wifi"][0],
        board=found["board"][0],
        completes=found["completes"][0],
        listed=tuple(found.get("listed", ())),
        room=found["room"][0],
        release_key=found["release_key"][0],
    )


def device_reason(number: int) -> str:
    """An errno of the board in words."""
    return "corrupt" if number == _LFS_ERR_CORRUPT else os.strerror(number)


def chip_of(about: About) -> str:
    """The chip as the board files call it ("rp2040", "esp32c3", "unix"); "" when it can't be told."""
    if about.platform == "linux":
        return "unix"
    return about.machine.rpartition(" with ")[2].strip().lower().replace("-", "")


def board_of(about: About) -> BoardSpec:
    """The board file of a board, by its chip and by what its firmware says. Raises KnownFailure."""
    chip = chip_of(about)
    named = about.machine or about.platform
    specs = [spec for spec in map(load_board, board_names()) if spec.chip == chip]
    if about.interpreter != "micropython":
        raise KnownFailure("other_interpreter", interpreter=about.interpreter)
    if about.board is not None:
        name, its_chip, _ = about.board
        if its_chip != chip:
            raise KnownFailure("wrong_chip", firmware=its_chip, machine=named)
        specs = [spec for spec in specs if spec.name == name] or specs
    # an image for this very board says its name; any other is told by its radio, else the chip's usual board is meant
    name = _plain(named.rpartition(" with ")[0])
    specs.sort(
        key=lambda spec: (
            _plain(spec.title) != name,
            ("wifi" in spec.radios) != about.wifi,
            spec.name != spec.silicon.board,
        )
    )
    if not specs:
        raise KnownFailure("unknown_chip", machine=named)
    spec = specs[0]
    if "wifi" in spec.radios and not about.wifi:
        raise KnownFailure("unknown_chip", machine=f"{named} without the Wi-Fi of a {spec.title}")
    return spec


def _plain(name: str) -> str:
    return name.replace(" ", "").lower()


def sync(
    board: ConsoleBoard,
    build: Callable[[str], Mapping[str, bytes]],
    progress: Progress | None = None,
) -> Outcome:
    """Bring the files on `board` to what `build(board name)` gives, path -> bytes, and restart it.

    Raises KnownFailure (a wrong board, no room, damage on the way), BoardError, and what `build` raises. A board that
    ran is left at its prompt by a failure, with its old firmware whole.
    """
    began = time.monotonic()
    with board.execs() as run:
        about = ask(run)
        spec = board_of(about)
        outcome = put_files(run, build(spec.name), about, progress)
    outcome.board = spec.name
    outcome.seconds = time.monotonic() - began
    board.reset()
    return outcome


def put_files(run: Exec, files: Mapping[str, bytes], about: About, progress: Progress | None = None) -> Outcome:
    """Bring the firmware's files to `files`, all of them or none; the board runs the new ones from its next start."""
    wanted = {"/" + path: _digest(data) for path, data in files.items()}
    roots = _roots([*files, *about.listed])
    run(guest(__file__, "end_update", kept=(tree.RELEASE_KEY, tree.RELEASE_SEQUENCE)), timeout=_TIMEOUT_S)
    there = _survey(run, roots)
    if PLAN in there:  # its boot.py could not
        _complete(run, files)
        there = _survey(run, roots)
    changed = [path for path, digest in wanted.items() if there.get(path) != digest]
    removed = _stale(there, wanted)
    outcome = Outcome("", len(files), changed, removed)
    staged = {_staged(path, there): path for path in changed}
    arrived = {target for target, path in staged.items() if there.get(target) == wanted[path]}
    kept = "\n".join(arrived)
    _discard(run, [path for path in there if _is_new(path) and path not in kept])
    if not changed and not removed:
        return outcome
    fresh = {target: files[path[1:]] for target, path in staged.items() if target not in arrived}
    outcome.bytes = sum(map(len, fresh.values()))
    _check_room(about, fresh)
    _stage(run, fresh, roots, progress)
    _verify(run, {target: wanted[path] for target, path in staged.items()})
    if not about.completes:
        # The one file that may be ahead of the rest: it imports nothing, and without it nobody completes the plan.
        run(f"os.rename('/boot.py{_NEW}', '/boot.py')", timeout=_TIMEOUT_S)
    steps = "\n".join(_steps(staged, removed, there))
    run(
        f"with open({PLAN + _NEW!r}, 'w') as _f:\n  _f.write({steps!r})\nos.rename({PLAN + _NEW!r}, {PLAN!r})",
        timeout=_TIMEOUT_S,
    )
    _complete(run, files)
    after = _survey(run, [PLAN, *changed, *removed])
    wrong = [path for path in changed if after.get(path) != wanted[path]]
    wrong += [path for path in after if path not in wanted]
    if wrong:
        raise KnownFailure("changed_firmware", count=len(wrong), path=wrong[0])
    return outcome


def differences(run: Exec, files: Mapping[str, bytes], about: About) -> tuple[list[str], bool]:
    """After `ask`: the paths that are not as in `files`, and whether a change waits for its completion."""
    there = _survey(run, _roots([*files, *about.listed]))
    wrong = ["/" + path for path, data in files.items() if there.get("/" + path) != _digest(data)]
    return wrong + _stale(there, {"/" + path: "" for path in files}), PLAN in there


def said(output: str) -> dict[str, list[Any]]:
    """Lines of "key value" as the values by key."""
    said: dict[str, list[Any]] = {}
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        try:
            said.setdefault(key, []).append(ast.literal_eval(value or "None"))
        except (ValueError, SyntaxError):
            continue  # a task of the interrupted firmware may still print
    return said


def _digest(data: bytes) -> str:
    """As the survey prints it."""
    return hashlib.sha256(data).digest()[:16].hex()


def _roots(files: Iterable[str]) -> list[str]:
    """The places that the firmware owns: its top-level files in any form that Python would import, and its folders."""
    roots = {PLAN, "/lib"}
    for path in files:
        first, slash, rest = path.partition("/")
        if first == "lib" and rest:
            roots.add("/lib/" + rest.partition("/")[0])
        elif slash:
            roots.add("/" + first)
        else:
            stem, _, extension = first.rpartition(".")
            roots |= {f"/{stem}.py", f"/{stem}.mpy"} if extension in ("py", "mpy") else {"/" + first}
    return sorted(roots | {root + end for root in roots for end in (_NEW, _OLD)})


def _survey(run: Exec, roots: Iterable[str]) -> dict[str, str]:
    """Path -> sha256 of every file below the roots; a folder ends with a slash and has "". Of /lib itself, no more."""
    return dict(said(run(f"_survey({tuple(roots)!r})", timeout=_TIMEOUT_S)).get("entry", []))


def _is_new(path: str) -> bool:
    """Whether it waits to be moved, by a sync or an update, or lies in a folder that does."""
    return any(part.endswith((_NEW, _OLD)) for part in path.split("/"))


def _stale(there: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Code that is no part of the firmware any more, then the folders that this leaves empty, the deepest first."""
    ours = [path for path in there if not _is_new(path) and path not in (PLAN, "/lib/")]
    packs = f"/{FOLDER}/"
    code = [path for path in ours if path.endswith((".py", ".mpy")) or (path.startswith(packs) and path != packs)]
    files = [path for path in code if path not in wanted]
    kept = [path for path in [*ours, *wanted] if not path.endswith("/") and path not in files]
    folders = [path for path in ours if path.endswith("/") and not any(other.startswith(path) for other in kept)]
    return sorted(files) + [path.rstrip("/") for path in sorted(folders, reverse=True)]


def _moved(path: str, there: Mapping[str, str]) -> str:
    """What a step of the plan renames to bring `path` about: the file, or the highest of its folders that is new."""
    parts = path.split("/")
    for depth in range(2, len(parts)):
        folder = "/".join(parts[:depth])
        if folder + "/" not in there:
            return folder
    return path


def _staged(path: str, there: Mapping[str, str]) -> str:
    """Where a file waits for the plan."""
    moved = _moved(path, there)
    return moved + _NEW + path[len(moved) :]


def _steps(staged: Mapping[str, str], removed: Sequence[str], there: Mapping[str, str]) -> list[str]:
    """The plan: lines of a verb of os and its paths."""
    moved = dict.fromkeys(_moved(path, there) for path in staged.values())
    gone = [f"{'rmdir' if path + '/' in there else 'remove'}\t{path}" for path in removed]
    return [f"rename\t{path}{_NEW}\t{path}" for path in moved] + gone


def _folders(files: Iterable[str]) -> list[str]:
    """The folders that are staged as a whole, the highest first."""
    found = {"/".join(parts[:depth]) for path in files for parts in [path.split("/")] for depth in range(2, len(parts))}
    return sorted(folder for folder in found if _is_new(folder))


def _check_room(about: About, files: Mapping[str, bytes]) -> None:
    if about.room is None:
        raise KnownFailure("no_file_system")
    block, free = about.room
    if not block:
        raise KnownFailure("damaged_file_system", path="/", reason=device_reason(free))
    # A folder takes a pair of blocks; what is renamed or removed needs a pair to write it down in.
    need = sum(-(-len(data) // block) for data in files.values()) + 2 * len(_folders(files)) + 2
    if need > free:
        raise KnownFailure("no_room", need=need * block // 1024, free=free * block // 1024)


def _discard(run: Exec, paths: Iterable[str]) -> None:
    """Remove what is staged; folders end with a slash."""
    lines = [
        f"os.{'rmdir' if path.endswith('/') else 'remove'}({path.rstrip('/')!r})"
        for path in sorted(paths, reverse=True)
    ]
    if lines:
        run("\n".join(lines), timeout=_TIMEOUT_S)


def _stage(run: Exec, files: Mapping[str, bytes], roots: Sequence[str], progress: Progress | None) -> None:
    total, done = sum(map(len, files.values())), 0
    try:
        for folder in _folders(files):
            run(
                f"try:\n  os.mkdir({folder!r})\nexcept OSError as _e:\n  if _e.errno != 17: raise",
                timeout=_TIMEOUT_S,
            )
        for code, count in _writes(files):
            run(code, timeout=_TIMEOUT_S)
            done += count
            if progress is not None:
                progress(done, total)
    except DeviceError as error:
        if failed_with(error) != errno.ENOSPC:
            raise
        run("_f.close()", timeout=_TIMEOUT_S)
        _discard(run, [path for path in _survey(run, roots) if _is_new(path)])
        raise KnownFailure("full_file_system", free=0) from None


def _writes(files: Mapping[str, bytes]) -> Iterator[tuple[str, int]]:
    """Pieces of code that write the files, and how many bytes each writes; small files share a piece."""
    code, held = "", 0
    for path, data in files.items():
        code += f"_f = open({path!r}, 'wb')\n"
        at = 0
        while at < len(data) or not data:
            part = data[at : at + _CHUNK - held]
            text = binascii.b2a_base64(part, newline=False).decode()
            code += f"_f.write(a2b_base64({text!r}))\n"
            at += len(part)
            held += len(part)
            if not data:
                break
            if held >= _CHUNK:
                yield code, held
                code, held = "", 0
        code += "_f.close()\n"
    if code:
        yield code, held


def _verify(run: Exec, wanted: Mapping[str, str]) -> None:
    """Compare what is staged with what was sent, by the hashes that the board computes from its flash."""
    there = _survey(run, wanted)
    damaged = [path for path, digest in wanted.items() if there.get(path) != digest]
    if damaged:
        _discard(run, [path for path in damaged if path in there])
        raise KnownFailure("altered_files", count=len(damaged), all=len(wanted), path=damaged[0])


def _complete(run: Exec, files: Mapping[str, bytes]) -> None:
    """Have boot.py do on the spot what it would do at the next start."""
    run(files["boot.py"].decode(), timeout=_TIMEOUT_S)
