"""A release's manifest: what it is, for which boards, until when; as CBOR. The schema is protocols/release.cddl.

The elements are those of RFC 9124; each field names its own. A node reads the manifest whole, so it is short: the files
of a board are in a list of their own, which the manifest names by its SHA-256 and a node reads line by line from flash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2

from quaver.errors import ReleaseError

MANIFEST_MAX = 1024  # bytes: what a node decodes
_MANIFEST_VERSION = 1
_SHA256 = 32
_KEY = 64
_NODE = 8
_BOARDS = 32
_NODES = 100
_VERSIONS = 8
_UINT32 = 1 << 32
_NAME = re.compile(r"[a-z0-9_]{1,24}")
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,24}")


@dataclass(frozen=True)
class BoardPart:
    """What a release has for one board.

    chip: RFC 9124's Class ID with the board's name. mpy: version | sub-version << 8 of the .mpy files, sub-version 0
    where no file holds machine code. micropython: the versions of MicroPython that the files run on; none: any with
    this .mpy version. listing, size: SHA-256 and bytes of the list of files (Payload Digest, Size).
    """

    chip: str
    mpy: int
    micropython: tuple[str, ...]
    listing: bytes
    size: int


@dataclass(frozen=True)
class ImagePart:
    """An image of MicroPython itself, for a board with two slots for it (`quaver flash --updatable`).

    micropython: its version. listing, size: SHA-256 and bytes of the list of its pieces.
    """

    micropython: str
    listing: bytes
    size: int


@dataclass(frozen=True)
class PatchPart:
    """What makes the files of earlier releases those of this one, for one board: SHA-256 and bytes of its patches."""

    patches: bytes
    size: int


@dataclass(frozen=True)
class Manifest:
    """sequence: Monotonic Sequence Number, 1 and up: a node takes none that is not above its own. version: of the
    firmware. expires: s since 1970, after which no node takes it. boards: by name. sbom: SHA-256 of the bill of
    materials. next_key: x and y of the public key (P-256) that nodes are to take, once this release is confirmed.
    downgrade: ids of the nodes, and of no others, that may take it although its sequence number is not above theirs.
    images, patches: by the name of the board.
    """

    sequence: int
    version: str
    expires: int
    boards: Mapping[str, BoardPart]
    sbom: bytes
    next_key: bytes | None = None
    downgrade: tuple[bytes, ...] = field(default=())
    images: Mapping[str, ImagePart] = field(default_factory=dict)
    patches: Mapping[str, PatchPart] = field(default_factory=dict)

    def encode(self) -> bytes:
        """In the deterministic form of CBOR (RFC 8949, 4.2.1). Raises ReleaseError when `decode` would refuse it."""
        values: dict[int, Any] = {
            1: _MANIFEST_VERSION,
            2: self.sequence,
            3: self.version,
            4: self.expires,
            5: {
                name: [part.chip, part.mpy, list(part.micropython), part.listing, part.size]
                for name, part in self.boards.items()
            },
            6: self.sbom,
        }
        if self.next_key is not None:
            values[7] = self.next_key
        if self.downgrade:
            values[8] = list(self.downgrade)
        if self.images:
            values[9] = {name: [image.micropython, image.listing, image.size] for name, image in self.images.items()}
        if self.patches:
            values[10] = {name: [part.patches, part.size] for name, part in self.patches.items()}
        data = cbor2.dumps(values, canonical=True)
        decode(data)
        return data


def decode(data: bytes) -> Manifest:
    """The manifest that `data` holds. Raises ReleaseError."""
    if len(data) > MANIFEST_MAX:
        raise ReleaseError(f"the manifest is longer than {MANIFEST_MAX} bytes: make the release for fewer boards")
    try:
        given = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise ReleaseError("the manifest is not CBOR: the release is corrupt") from error
    if not isinstance(given, dict) or not _uint(given.get(1), 255):
        raise _wrong("it is not a manifest")
    if given[1] != _MANIFEST_VERSION:
        raise ReleaseError(
            f"the manifest is of version {given[1]}, this quaver reads {_MANIFEST_VERSION}: update quaver"
        )
    if set(given) - set(range(1, 11)) or cbor2.dumps(given, canonical=True) != data:
        raise _wrong("it has unknown fields, or is not in the deterministic form")
    boards = given.get(5)
    if not isinstance(boards, dict) or not 0 < len(boards) <= _BOARDS:
        raise _wrong("boards")
    for name, good in (
        ("sequence number", _uint(given.get(2), _UINT32) and given[2] > 0),
        ("version", _matches(_VERSION, given.get(3))),
        ("expiry", _uint(given.get(4), _UINT32)),
        ("bill of materials", _bytes(given.get(6), _SHA256)),
        ("next key", 7 not in given or _bytes(given[7], _KEY)),
        ("nodes that may step down", 8 not in given or _nodes(given[8])),
        ("images", 9 not in given or _some_of(boards, given[9])),
        ("patches", 10 not in given or _some_of(boards, given[10])),
    ):
        if not good:
            raise _wrong(name)
    return Manifest(
        given[2],
        given[3],
        expires=given[4],
        boards={name: _board(name, part) for name, part in boards.items()},
        sbom=given[6],
        next_key=given.get(7),
        downgrade=tuple(given.get(8, ())),
        images={name: _image(name, part) for name, part in given.get(9, {}).items()},
        patches={name: _patches(name, part) for name, part in given.get(10, {}).items()},
    )


def _board(name: object, given: object) -> BoardPart:
    if not _matches(_NAME, name) or not isinstance(given, list) or len(given) != 5:
        raise _wrong("a board")
    chip, mpy, versions, listing, size = given
    known = isinstance(versions, list) and len(versions) <= _VERSIONS and all(_matches(_VERSION, v) for v in versions)
    if not (known and _matches(_NAME, chip) and _uint(mpy, 1 << 16) and _bytes(listing, _SHA256)):
        raise _wrong(f"board {name}")
    if not _uint(size, 1 << 16) or not size:
        raise _wrong(f"board {name}: the size of its list of files")
    return BoardPart(chip, mpy, tuple(versions), listing, size)


def _image(name: str, given: object) -> ImagePart:
    if not isinstance(given, list) or len(given) != 3:
        raise _wrong(f"the image for {name}")
    version, listing, size = given
    if not (_matches(_VERSION, version) and _bytes(listing, _SHA256) and _uint(size, 1 << 16) and size):
        raise _wrong(f"the image for {name}")
    return ImagePart(version, listing, size)


def _patches(name: str, given: object) -> PatchPart:
    if not isinstance(given, list) or len(given) != 2:
        raise _wrong(f"the patches for {name}")
    digest, size = given
    if not (_bytes(digest, _SHA256) and _uint(size, 1 << 16) and size):
        raise _wrong(f"the patches for {name}")
    return PatchPart(digest, size)


def _some_of(boards: Mapping[str, object], given: object) -> bool:
    return isinstance(given, dict) and bool(given) and set(given) <= set(boards)


def _wrong(what: str) -> ReleaseError:
    return ReleaseError(f"the manifest is invalid ({what}): the release is corrupt, or was not made by quaver")


def _uint(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit


def _bytes(value: object, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def _nodes(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _NODES and all(_bytes(node, _NODE) for node in value)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
