"""The build room's view of an ESP32 image: its partition table, and where MicroPython's file system is.

The table's format: ESP-IDF programming guide, "Partition Tables" (32-byte entries, MD5 entry, end of 0xFF).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from quaver.errors import BuildError

VFS = "vfs"
"""The name of the partition that MicroPython mounts as its file system (ports/esp32/modules/flashbdev.py)."""

_TABLE_AT = 0x8000
_TABLE_SIZE = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5 = b"\xeb\xeb"


@dataclass(frozen=True)
class Partition:
    """One entry: kind 0 is an application, 1 data; offset and size in bytes of flash."""

    name: str
    kind: int
    subkind: int
    offset: int
    size: int


def read_partitions(image: bytes, image_offset: int) -> list[Partition]:
    """The partition table in an image whose first byte belongs at image_offset. Raises BuildError."""
    at = _TABLE_AT - image_offset
    table = image[at : at + _TABLE_SIZE]
    partitions: list[Partition] = []
    for start in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subkind, offset, size, name, _ = _ENTRY.unpack_from(table, start)
        if magic == _MD5:
            if hashlib.md5(table[:start], usedforsecurity=False).digest() != table[start + 16 : start + 32]:
                break
            return partitions
        if magic != _MAGIC:
            break
        partitions.append(Partition(name.rstrip(b"\0").decode("ascii", "replace"), kind, subkind, offset, size))
    raise BuildError(f"the image has no complete partition table at 0x{_TABLE_AT:x}: is it for this chip?")


def vfs_partition(partitions: list[Partition], flash_size: int) -> Partition:
    """Where MicroPython has its file system on a flash of flash_size bytes.

    The table's own entry, or, where it has none as in the official images since v1.26, what MicroPython adds when it
    starts: from the end of the last partition to the end of the flash. Raises BuildError where there is no room.
    """
    for partition in partitions:
        if partition.name == VFS:
            return partition
    start = max((partition.offset + partition.size for partition in partitions), default=0)
    if not partitions or start >= flash_size:
        raise BuildError(f"the image's partitions end at 0x{start:x}: no space for a file system in {flash_size} bytes")
    return Partition(VFS, 1, 0x81, start, flash_size - start)
