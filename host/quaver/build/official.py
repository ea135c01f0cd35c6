"""The build room's look at an official image: its MicroPython, the .mpy files that it loads, its chip, its layout.

An image does not name the format of .mpy files that it loads, so that follows from its version: MicroPython's
docs/reference/mpyfiles.rst. What mpy-cross makes is read from what it makes.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from quaver.board.image import image_artifact
from quaver.board.spec import BoardSpec, Image
from quaver.build.compile import compile_mpy, compiler_version
from quaver.build.uf2 import FLASH_START, join_pages, read_uf2
from quaver.errors import ArtifactError, BuildError
from quaver.files.pinned import Progress, cache_dir, fetch, is_cached, keep

# The first MicroPython that loads a format: its version, and of machine code its sub-version. Each release was looked
# at: a newer one may load another.
_FORMATS = (((1, 19), (6, 0)), ((1, 20), (6, 1)), ((1, 22), (6, 2)), ((1, 23), (6, 3)))
_NEWEST = (1, 29)

_SAYS = re.compile(rb"MicroPython v([0-9]+\.[0-9]+)(\.[0-9]+)?(-[-.0-9a-z]+)? on 20")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MACHINE_CODE = b"@micropython.native\ndef f():\n    pass\n"
_BINARY_INFO, _BINARY_INFO_END = 0x7188EBF2, 0xE71AA390  # pico-sdk, binary_info/defs.h
_BLOCK_DEVICE = 7
_ESP_MAGIC = 0xE9
_ESP_CHIP_AT = 12


def given_image(board: BoardSpec, place: str, sha256: str, progress: Progress | None = None) -> BoardSpec:
    """The board with another official image in place of its own, which lies in the cache then.

    place: an address that begins with https://, or a file. sha256: of the file; no other is taken. Raises ArtifactError
    where it can't be had, BuildError where the board can't run it.
    """
    if board.image is None:
        raise BuildError(f"{board.name}: takes no image: it is the MicroPython unix port")
    digest = sha256.lower()
    if not _SHA256.fullmatch(digest):
        raise ArtifactError(f"--sha256 {sha256!r}: expected 64 hexadecimal digits, as sha256sum prints them")
    address = place if place.startswith("https://") else None
    if address is None and "://" in place:
        raise ArtifactError(f"--image {place}: expected an address that begins with https://, or a file")
    name = PurePosixPath(urlsplit(place).path if address else place).name
    # With its digest, or two images of one name would take turns in the cache.
    image = Image("", f"{digest[:16]}-{name}", digest, address)
    artifact = image_artifact(replace(board, image=image))
    assert artifact is not None
    if address is None and not is_cached(artifact):
        _keep(Path(place), digest, cache_dir() / artifact.folder / artifact.name)
    version = _checked(board, fetch(artifact, progress).read_bytes(), place)
    return replace(board, image=replace(image, version=version))


def check_format(board: BoardSpec) -> None:
    """Raise BuildError unless the board's image loads what mpy-cross makes for it."""
    if board.image is None:
        return
    version = board.image.version
    number = tuple(int(part) for part in version.split(".")[:2])
    if number > _NEWEST:
        raise BuildError(
            f"{board.name}: MicroPython {version} is newer than this quaver, which does not know what .mpy files it "
            f"loads: take an image up to {_dotted(_NEWEST)}, or a newer quaver"
        )
    made = compile_mpy(_MACHINE_CODE, "format.py", board.arch)
    makes = (made[1], made[2] & 3)
    loads = [form for first, form in _FORMATS if first <= number]
    if not loads or loads[-1] != makes:
        needs = next((first for first, form in _FORMATS if form == makes), None)
        raise BuildError(
            f"{board.name}: MicroPython {version} loads .mpy files of version {_dotted(loads[-1]) if loads else '5'}, "
            f"mpy-cross {compiler_version()} makes {_dotted(makes)}: "
            + (f"take an image from {_dotted(needs)} on" if needs else f"install mpy-cross {_dotted(number)}")
        )


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _keep(path: Path, digest: str, kept: Path) -> None:
    """Put a person's file into the cache, if it is the one that they mean."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"--image {path}: cannot be read ({error.strerror}): check the name") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ArtifactError(f"--image {path}: has sha256 {found}, expected {digest}: fetch the file again")
    keep(kept, data)


def _checked(board: BoardSpec, data: bytes, place: str) -> str:
    """The version of an image that is for this board. Raises BuildError."""
    try:
        content = _uf2_content(board, data) if board.silicon.loader == "uf2" else _esp_content(board, data)
    except BuildError as error:
        raise BuildError(f"--image {place}: {error}") from error
    said = _SAYS.search(content)
    if not said:
        raise BuildError(f"--image {place}: does not say which MicroPython it is: take one from micropython.org")
    if said[3]:
        raise BuildError(f"--image {place}: is a preview ({said[0][12:-6].decode()}): take a release of MicroPython")
    return (said[1] + (said[2] or b".0")).decode()


def _uf2_content(board: BoardSpec, data: bytes) -> bytes:
    start, content = join_pages(read_uf2(data, board.silicon.uf2_family))
    wanted = (FLASH_START + board.flash.filesystem_offset, board.flash.filesystem_size)
    found = block_devices(start, content)
    if wanted not in found:
        there = ", ".join(f"0x{at:x} + 0x{size:x}" for at, size in found) or "nowhere"
        raise BuildError(
            f"has its file system at {there}, a {board.name} at 0x{wanted[0]:x} + 0x{wanted[1]:x}: take the image for "
            f"the {board.title}"
        )
    return content


def block_devices(start: int, content: bytes) -> list[tuple[int, int]]:
    """Address and bytes of each file system that an RP2040's image names in its binary info.

    content: its flash from the address `start` on. A record is: type, tag, name, address, size, … (pico-sdk,
    binary_info_block_device_t).
    """
    at = content.find(struct.pack("<I", _BINARY_INFO), 0, 4096)
    if at < 0 or at + 20 > len(content):
        return []
    first, last, _, end = struct.unpack_from("<4I", content, at + 4)
    if end != _BINARY_INFO_END or not 0 <= first - start <= last - start <= len(content):
        return []
    pointers = struct.unpack_from(f"<{(last - first) // 4}I", content, first - start)
    records = [pointer - start for pointer in pointers if 0 <= pointer - start <= len(content) - 16]
    return [
        struct.unpack_from("<2I", content, record + 8)
        for record in records
        if struct.unpack_from("<H", content, record)[0] == _BLOCK_DEVICE
    ]


def _esp_content(board: BoardSpec, data: bytes) -> bytes:
    if len(data) < _ESP_CHIP_AT + 2 or data[0] != _ESP_MAGIC:
        raise BuildError("is no image for the ESP32 family: take the .bin that micropython.org has for the board")
    (chip,) = struct.unpack_from("<H", data, _ESP_CHIP_AT)
    if chip != board.silicon.image_chip:
        raise BuildError(f"is for another chip than the {board.chip}: take the image for the {board.title}")
    return data
