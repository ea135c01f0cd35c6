"""The build room's view of an ESP32 image: its partition table, and where MicroPython's file system is.

The table's format: ESP-IDF programming guide, "Partition Tables" (32-byte entries, MD5 entry, end of 0xFF). Of two
slots for the application the boot loader takes the one that "otadata" names, and comes back from one that is not
confirmed: "Over The Air Updates", "App Rollback".
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
_APPLICATION, _DATA = 0, 1
_OTA_DATA, _PHY, _NVS, _FAT = 0x00, 0x01, 0x02, 0x81
_OTA_SLOT = 0x10
_FACTORY = "factory"
_SLOTS_AT = 0x10000
_SLOT_ALIGN = 0x10000
_LARGE_FLASH, _LARGE_SLOT = 8 << 20, 2 << 20


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


def application(image: bytes, image_offset: int) -> bytes:
    """The application in an official image: what a slot of `updatable` holds. Raises BuildError."""
    for partition in read_partitions(image, image_offset):
        if partition.name == _FACTORY:
            return image[partition.offset - image_offset :]
    raise BuildError(f"the image has no partition {_FACTORY!r}: take an official one")


def updatable(image: bytes, image_offset: int, flash_size: int) -> bytes:
    """The image with a table that has two slots for the application, so that the application can be replaced.

    A slot is the application rounded up to 64 KiB, from 8 MB of flash on 2 MiB; the file system takes the rest, to the
    end of the flash. Raises BuildError where there is no room.
    """
    size = -(-len(application(image, image_offset)) // _SLOT_ALIGN) * _SLOT_ALIGN
    if flash_size >= _LARGE_FLASH:
        size = max(size, _LARGE_SLOT)
    vfs = _SLOTS_AT + 2 * size
    if vfs >= flash_size:
        raise BuildError(f"two images of {size} bytes leave no space for a file system in {flash_size} bytes")
    entries = (
        Partition("nvs", _DATA, _NVS, 0x9000, 0x4000),
        Partition("otadata", _DATA, _OTA_DATA, 0xD000, 0x2000),
        Partition("phy_init", _DATA, _PHY, 0xF000, 0x1000),
        Partition("ota_0", _APPLICATION, _OTA_SLOT, _SLOTS_AT, size),
        Partition("ota_1", _APPLICATION, _OTA_SLOT + 1, _SLOTS_AT + size, size),
        Partition(VFS, _DATA, _FAT, vfs, flash_size - vfs),
    )
    table = b"".join(
        _ENTRY.pack(_MAGIC, entry.kind, entry.subkind, entry.offset, entry.size, entry.name.encode(), 0)
        for entry in entries
    )
    table += _MD5 + b"\xff" * 14 + hashlib.md5(table, usedforsecurity=False).digest()
    at = _TABLE_AT - image_offset
    return image[:at] + table.ljust(_TABLE_SIZE, b"\xff") + image[at + _TABLE_SIZE :]


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
