"""The list of a board's files in a release, in the order of the paths: for each its SHA-256, u16 size, path, "\\n".

A path's first folder is the lifetime of what lies in it (docs/architecture.md): how long the code stays in memory.
What the board has in these folders, or under these names at the top, and the list does not name is deleted.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

from quaver.errors import ReleaseError

LISTING_MAX = 1 << 15  # bytes
FILE_MAX = (1 << 16) - 1  # bytes; the largest today has 16 kB
_PATH = re.compile(r"(?:[A-Za-z0-9_.-]{1,31}/){0,3}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}")
_HEAD = struct.Struct("<32sH")  # of an entry; its path follows
# What a node owns and no release may replace, with all that begins so; boot.py is changed by cable only.
_OF_THE_NODE = (
    "boot.",
    "relay",
    "session.",
    "commands.",
    "gateways.",
    "link.",
    "sync.",
    "config",
    "device.key",
    "release",
    "journal",
    "boot.count",
    "pulses",
    "condition",
)


class File(NamedTuple):
    """One file of a board: SHA-256 and length of its content, and its path on the board."""

    sha256: bytes
    size: int
    path: str


def listing(files: Mapping[str, bytes]) -> bytes:
    """The list of `files`, path -> content. Raises ReleaseError for a path or a size that a node would refuse."""
    found = b""
    for path, data in sorted(files.items()):
        if len(data) > FILE_MAX:
            raise ReleaseError(f"{path}: has {len(data)} bytes, a file of a release at most {FILE_MAX}")
        found += _HEAD.pack(hashlib.sha256(data).digest(), len(data)) + path.encode() + b"\n"
    parse(found)
    return found


def parse(data: bytes) -> list[File]:
    """The files that a list names. Raises ReleaseError."""
    if len(data) > LISTING_MAX:
        raise ReleaseError(f"a list of files is longer than {LISTING_MAX} bytes: the firmware has too many")
    if not data:
        raise _wrong("it is empty")
    found: list[File] = []
    at = 0
    while at < len(data):
        end = data.find(b"\n", at + _HEAD.size)
        if end < 0:
            raise _wrong("its end is missing")
        digest, size = _HEAD.unpack_from(data, at)
        path = data[at + _HEAD.size : end].decode("ascii", "replace")
        if not _PATH.fullmatch(path) or ".." in path or path.startswith(_OF_THE_NODE):
            raise _wrong(f"the path {path[:60]!r}")
        if found and path <= found[-1].path:
            raise _wrong(f"{path} is not in the order of paths")
        found.append(File(digest, size, path))
        at = end + 1
    return found


def _wrong(what: str) -> ReleaseError:
    return ReleaseError(f"a list of files is invalid ({what}): the release is corrupt, or was not made by quaver")
