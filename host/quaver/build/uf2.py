"""The build room's UF2: flash content in the blocks that the drive of the RP2040's and RP2350's boot loader accepts.

The format is Microsoft's (github.com/microsoft/uf2, README); 256 bytes a block are what the RP2040 takes (datasheet,
section 2.8.4.2).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from quaver.errors import BuildError

FLASH_START = 0x10000000
"""Where the RP2040 sees its flash; addresses in a UF2 are these."""

FLASH_END = FLASH_START + (16 << 20)
"""What the RP2040 can address of one (datasheet, section 2.6.3)."""

PAGE = 256
SECTOR = 4096

_HEAD = struct.Struct("<8I")  # two magic numbers, flags, address, payload size, block's number, blocks, family
_BLOCK = 512
_MAGIC = (0x0A324655, 0x9E5D5157)
_END = 0x0AB16F30
_HAS_FAMILY = 0x2000
_RP2350_E10 = 0xE48BFF57, 0x10FFFF00  # family and address of a first block that mends an RP2350 (datasheet, RP2350-E10)
_NOT_FLASH = 0x0001  # a block that a boot loader skips
_ERASED = b"\xff" * PAGE


def read_uf2(data: bytes, family: int) -> dict[int, bytes]:
    """The pages of a UF2, address -> PAGE bytes. Raises BuildError when it is none, or for another chip."""
    pages: dict[int, bytes] = {}
    if not data or len(data) % _BLOCK:
        raise BuildError(f"{len(data)} bytes are not a UF2 file: expected whole blocks of {_BLOCK} bytes")
    for at in range(0, len(data), _BLOCK):
        first, second, flags, address, size, _, _, found = _HEAD.unpack_from(data, at)
        (end,) = struct.unpack_from("<I", data, at + _BLOCK - 4)
        if (first, second, end) != (*_MAGIC, _END):
            raise BuildError(f"block {at // _BLOCK} is not a UF2 block: fetch the file again")
        if flags & _NOT_FLASH or (found, address) == _RP2350_E10:
            continue
        if not flags & _HAS_FAMILY or found != family or size != PAGE or address % PAGE:
            raise BuildError(f"block {at // _BLOCK} of the UF2 is for another chip than family 0x{family:08x}")
        if not FLASH_START <= address < FLASH_END:
            raise BuildError(f"block {at // _BLOCK} of the UF2 is for 0x{address:08x}, where there is no flash")
        pages[address] = data[at + _HEAD.size : at + _HEAD.size + PAGE]
    return pages


def join_pages(pages: Mapping[int, bytes]) -> tuple[int, bytes]:
    """The address of the first page, and all of flash from there to the last one, erased where there is none."""
    start, end = min(pages), max(pages) + PAGE
    return start, b"".join(pages.get(at, _ERASED) for at in range(start, end, PAGE))


def make_uf2(pages: Mapping[int, bytes], family: int) -> bytes:
    """A UF2 of those pages in order of their addresses.

    A sector with any page gets all of its pages, erased ones where none is given: the boot loader erases a sector
    when it sees its first page, and may leave the last one out when it isn't full (RP2040 datasheet, RP2040-E14).
    """
    sectors = sorted({address // SECTOR * SECTOR for address in pages})
    blocks = [(at, pages.get(at, _ERASED)) for sector in sectors for at in range(sector, sector + SECTOR, PAGE)]
    out = bytearray()
    for number, (address, page) in enumerate(blocks):
        out += _HEAD.pack(*_MAGIC, _HAS_FAMILY, address, PAGE, number, len(blocks), family)
        out += page.ljust(_BLOCK - _HEAD.size - 4, b"\0") + struct.pack("<I", _END)
    return bytes(out)
