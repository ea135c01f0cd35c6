"""The patches of a release: how the files of an earlier one become its own, so that a node fetches what differs.

They are of the device's own making, as what applies them on a node is: `firmware/update/patch.py`, a few lines that
hold one chunk in memory. A node checks each file that comes of it as it checks those that it fetches whole, and fetches
whole what a patch does not yield: patches save bytes, and nothing rests on them. In words: protocols/release.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from quaver.errors import ReleaseError

PATCHES_MAX = (1 << 16) - 1  # bytes of all patches for a board
SOURCES_MAX = 8  # of one patch
TABLE_MAX = 3072  # bytes that a node holds to know the sources
_ID = 4  # bytes of a SHA-256 that name a file here; what comes of a patch is checked by all 32
_HEAD = _ID + 2  # of a patch: of which file, and how long the rest is
_WORTH = 0.75  # of a file: a patch that is longer is not worth its time
_GRAIN = 6  # bytes that are looked up
_PLACES = 32  # where they are looked at, at most
_NEAR_COST, _FAR_COST = 1, 4  # bytes that a copy takes, about
_LEAST = 64  # bytes that come of a source, for it to be one


class Source(NamedTuple):
    """A file of the earlier release that parts are copied from."""

    path: str
    data: bytes


def patches(old: Iterable[Mapping[str, bytes]], new: Mapping[str, bytes]) -> bytes:
    """The patches for a board, in the order of the paths, behind the table of their sources; b"" where none is worth
    its time.

    old: the board's files in each of the earlier releases, path -> content. new: those of this one.
    """
    table: list[bytes] = []
    made = b""
    for files in old:
        known = set(files.values())
        grains = _grains(files)
        for path, data in sorted(new.items()):
            if data in known:
                continue
            sources, steps = _sources(path, data, files, grains)
            size = _HEAD + 1 + len(sources) + len(steps)
            if size >= _WORTH * len(data):
                continue
            entries = [_id(source.data) + _text(source.path) for source in sources]
            longer = table + [entry for entry in entries if entry not in table]
            length = sum(map(len, longer))
            if len(longer) > 256 or length > TABLE_MAX or 2 + length + len(made) + size > PATCHES_MAX:
                continue
            table = longer
            numbers = bytes(table.index(entry) for entry in entries)
            made += _id(data) + (size - _HEAD).to_bytes(2, "little") + bytes([len(entries)]) + numbers + steps
    sources_table = b"".join(table)
    return len(sources_table).to_bytes(2, "little") + sources_table + made if made else b""


def _id(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_ID]


def _text(path: str) -> bytes:
    return bytes([len(path)]) + path.encode()


def _grains(files: Mapping[str, bytes]) -> dict[bytes, set[str]]:
    """In which files each few bytes are."""
    found: dict[bytes, set[str]] = {}
    for path, data in files.items():
        for at in range(len(data) - _GRAIN + 1):
            found.setdefault(data[at : at + _GRAIN], set()).add(path)
    return found


def _sources(
    path: str, data: bytes, files: Mapping[str, bytes], grains: Mapping[bytes, set[str]]
) -> tuple[list[Source], bytes]:
    """Where the parts of a new file come from, and the steps that make it."""
    shared: Counter[str] = Counter()
    for at in range(len(data) - _GRAIN + 1):
        where = grains.get(data[at : at + _GRAIN], set())
        if len(where) <= SOURCES_MAX:  # else it tells nothing
            shared.update(where)
    likely = [name for name, count in sorted(shared.items(), key=lambda one: (-one[1], one[0])) if count >= _LEAST]
    names = [path] * (path in files) + [name for name in likely if name != path]
    sources = [Source(name, files[name]) for name in names[:SOURCES_MAX]]
    steps, used = _steps(sources, data)
    worth = [source for source, count in zip(sources, used, strict=True) if count >= _LEAST]
    return (sources, steps) if worth == sources else (worth, _steps(worth, data)[0])


def _steps(sources: Sequence[Source], data: bytes) -> tuple[bytes, list[int]]:
    """What to copy from the sources, one behind the other, and what to add: greedy, the longest first. And how many
    bytes are copied from each."""
    old = b"".join(source.data for source in sources)
    ends: list[int] = []
    for source in sources:
        ends.append(len(source.data) + (ends[-1] if ends else 0))
    places: dict[bytes, list[int]] = {}
    for at in range(len(old) - _GRAIN + 1):
        places.setdefault(old[at : at + _GRAIN], []).append(at)
    found = added = b""
    used = [0] * len(sources)
    at = expected = 0
    while at < len(data):
        near = expected + len(added)
        best = gain = start = 0
        for place in [near, *places.get(data[at : at + _GRAIN], ())[:_PLACES]]:
            most = min(len(data) - at, next((end for end in ends if end > place), 0) - place)
            count = 0
            while count < most and data[at + count] == old[place + count]:
                count += 1
            worth = count - (_NEAR_COST if place == near else _FAR_COST)
            if worth > gain:
                best, gain, start = count, worth, place
        if not best:
            added += data[at : at + 1]
            at += 1
            continue
        used[sum(end <= start for end in ends)] += best
        found += _added(added)
        found += _number(best << 2 | 1) if start == near else _number(best << 2 | 2) + _number(_zigzag(start - near))
        added = b""
        at += best
        expected = start + best
    return found + _added(added), used


def _added(data: bytes) -> bytes:
    return _number(len(data) << 2) + data if data else b""


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def patched(data: bytes) -> list[bytes]:
    """Which files there are patches for: how their SHA-256 begin. Raises ReleaseError."""
    found = []
    at = 2 + int.from_bytes(data[:2], "little")
    while at < len(data):
        found.append(data[at : at + _ID])
        at += _HEAD + int.from_bytes(data[at + _ID : at + _HEAD], "little")
    if at != len(data):
        raise ReleaseError("its patches are cut off: the file is corrupt; fetch or build it again")
    return found
