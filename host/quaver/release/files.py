"""The list of a board's files in a release: a line each, `SHA-256 size path`, in the order of the paths.

A path's first folder is the lifetime of what lies in it (docs/architecture.md): how long the code stays in memory.
What the board has in these folders, or under these names at the top, and the list does not name is deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from quaver.errors import ReleaseError

LISTING_MAX = 1 << 15  # bytes
FILE_MAX = 1 << 16  # bytes; the largest today has 12 kB
_PATH = re.compile(r"(?:[A-Za-z0-9_.-]{1,31}/){0,3}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}")
_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,4}) (\S+)")
# What a node owns and no release may replace, with all that begins so; boot.py is changed by cable only.
_OF_THE_NODE = (
    "boot.",
    "relay",
    "session.",
    "commands.",
    "sync.",
    "config",
    "device.key",
    "release",
    "journal",
    "boot.count",
    "condition",
)


class File(NamedTuple):
    """One file of a board: SHA-256 and length of its content, and its path on the board."""

    sha256: bytes
    size: int
    path: str


def listing(files: Mapping[str, bytes]) -> bytes:
    """The list of `files`, path -> content. Raises ReleaseError for a path or a size that a node would refuse."""
    lines = (f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in sorted(files.items()))
    data = "".join(lines).encode()
    parse(data)
    return data


def parse(data: bytes) -> list[File]:
    """The files that a list names. Raises ReleaseError."""
    if len(data) > LISTING_MAX:
        raise ReleaseError(f"a list of files is longer than {LISTING_MAX} bytes: the firmware has too many")
    if not data.endswith(b"\n"):
        raise _wrong("its end is missing")
    found: list[File] = []
    for line in data[:-1].decode("ascii", "replace").split("\n"):
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise _wrong(f"the line {line[:60]!r}")
        path = parts[3]
        if not _PATH.fullmatch(path) or ".." in path or path.startswith(_OF_THE_NODE):
            raise _wrong(f"the path {path[:60]!r}")
        if found and path <= found[-1].path:
            raise _wrong(f"{path} is not in the order of paths")
        if int(parts[2]) > FILE_MAX:
            raise ReleaseError(f"{path}: has {parts[2]} bytes, a file of a release at most {FILE_MAX}")
        found.append(File(bytes.fromhex(parts[1]), int(parts[2]), path))
    return found


def _wrong(what: str) -> ReleaseError:
    return ReleaseError(f"a list of files is invalid ({what}): the release is corrupt, or was not made by quaver")
