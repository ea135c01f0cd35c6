"""Looks for the entry points of the radio's libraries in another ESP32-C3 image of MicroPython.

    tools/esp32c3_entry_points.py IMAGE.bin

They have no names in an image. The code before each of them changes little from build to build, though: of each
function of the known image its first instructions are taken as a pattern, addresses and immediates left out, and
looked for in the other one. What is found once is printed as entry_points.toml has it; what is found never, or more
than once, has to be found by hand: from the calls of MicroPython's network_wlan.c, in their order.

It also lists the mask ROM functions that the image calls directly and the emulator has not.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from quaver.board.image import fetch_image
from quaver.board.spec import load_board
from quaver.emulator.esp32c3.radio import EntryPoints

APP = 0x10000
LENGTH = 48  # bytes of a function that make its pattern
ROM = range(0x40000000, 0x40060000)
ROM_TABLE = Path(__file__).parents[1] / "host/quaver/emulator/esp32c3/core/rom_functions.h"


def code(flash: bytes) -> list[tuple[int, bytes]]:
    """The executable segments of the application."""
    return [(address, data) for address, data in segments_of(flash) if address >> 24 in (0x40, 0x42)]


def segments_of(flash: bytes) -> Iterator[tuple[int, bytes]]:
    """Every segment of the application: address, bytes (ESP-IDF: App Image Format)."""
    at = APP + 24
    for _ in range(flash[APP + 1]):
        address, size = struct.unpack_from("<II", flash, at)
        yield address, flash[at + 8 : at + 8 + size]
        at += 8 + size


def application_size(flash: bytes) -> int:
    """Bytes up to the SHA-256 that ESP-IDF appends: behind the segments a checksum ends a block of 16."""
    return (24 + sum(8 + len(data) for _, data in segments_of(flash)) + 16) // 16 * 16


def event_base(flash: bytes) -> int:
    """Where the text that WIFI_EVENT points to lies; 0 where it is not there once."""
    text = b"\0WIFI_EVENT\0"
    found = [base + data.find(text) + 1 for base, data in segments_of(flash) for _ in range(data.count(text))]
    return found[0] if len(found) == 1 else 0


def instructions(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Offset, word and length of each instruction."""
    while at + 4 <= end:
        word = int.from_bytes(data[at : at + 4], "little")
        size = 4 if word & 3 == 3 else 2
        yield at, word if size == 4 else word & 0xFFFF, size
        at += size


def pattern(data: bytes, at: int) -> re.Pattern[bytes]:
    """The instructions from `at` on, without what a linker fills in."""
    parts = []
    for place, word, size in instructions(data, at, at + LENGTH):
        opcode = word & 0x7F
        if size == 2:
            moves = word & 0xE003 in (0x2001, 0xA001)  # c.jal, c.j
            parts.append(b".." if moves else re.escape(data[place : place + 2]))
        elif opcode in (0x17, 0x37, 0x6F) or opcode in (0x03, 0x13, 0x23, 0x67):  # auipc, lui, jal
            parts.append(re.escape(data[place : place + 1]) + b"...")
        else:
            parts.append(re.escape(data[place : place + 4]))
    return re.compile(b"".join(parts), re.DOTALL)


def rom_calls(segments: list[tuple[int, bytes]]) -> set[int]:
    """Addresses of the mask ROM that auipc or lui with jalr, or jal, call."""
    found = set()
    for base, data in segments:
        upper: dict[int, tuple[int, int]] = {}
        for at, word, size in instructions(data, 0, len(data)):
            if size == 2:
                continue
            pc, register = base + at, word >> 7 & 31
            if word & 0x7F in (0x17, 0x37):
                upper[register] = (at, (word & 0xFFFFF000) + (pc if word & 0x7F == 0x17 else 0))
            elif word & 0x7F == 0x67 and (source := word >> 15 & 31) in upper and at - upper[source][0] <= 8:
                offset = (word >> 20) - (0x1000 if word >> 31 else 0)
                found.add(upper[source][1] + offset & 0xFFFFFFFF)
            elif word & 0x7F == 0x6F:
                jump = (word >> 11 & 0x100000) | word & 0xFF000 | (word >> 9 & 0x800) | (word >> 20 & 0x7FE)
                found.add(pc + jump - (0x200000 if jump & 0x100000 else 0) & 0xFFFFFFFF)
    return {address for address in found if address in ROM}


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        other = Path(sys.argv[1]).read_bytes()
    except OSError as error:
        print(f"{sys.argv[1]}: cannot be read ({error.strerror}): check the name", file=sys.stderr)
        return 1
    if other[APP : APP + 1] != b"\xe9":
        print(f"{sys.argv[1]}: no application at {APP:#x}: give a whole image, as esptool writes it", file=sys.stderr)
        return 1
    own = load_board("esp32_c3")
    assert own.image is not None
    known, points = code(fetch_image(own).read_bytes()), EntryPoints.known()[own.image.version]
    segments = code(other)
    size, version = application_size(other), "VERSION"  # of its MicroPython, as a person knows it
    print(f'["{version}"]\nsha256 = "{hashlib.sha256(other).hexdigest()}"\napplication_size = 0x{size:X}')
    print(f'application_sha256 = "{hashlib.sha256(other[APP : APP + size]).hexdigest()}"')
    print(f'wifi_event_base = 0x{event_base(other):X}\n\n["{version}".entries]')
    unsure = 0
    for name, address in points.entries.items():
        base, data = next(part for part in known if part[0] <= address < part[0] + len(part[1]))
        wanted = pattern(data, address - base)
        found = [start + match.start() for start, where in segments for match in wanted.finditer(where)]
        if len(found) == 1:
            print(f"{name} = 0x{found[0]:08X}")
        else:
            unsure += 1
            print(f"# {name}: {len(found)} places: " + " ".join(f"0x{place:08X}" for place in found[:8]))
    have = {int(address, 16) for address in re.findall(r"ROM\(0x([0-9A-F]{8})", ROM_TABLE.read_text())}
    missing = sorted(rom_calls(segments) - have)
    print(f"\n# Not modelled of the mask ROM, {len(missing)} functions (most of them the radio's own):")
    print("# " + " ".join(f"{address:08x}" for address in missing))
    return 1 if unsure else 0


if __name__ == "__main__":
    sys.exit(main())
