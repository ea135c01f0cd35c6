"""The build room's layout of a .mpy whose code is used where it lies: in flash, and not in a copy of it on the heap.

An RP2040 sees its flash as memory, and littlefs keeps a file's bytes in whole blocks that stay where they are for as
long as the file does. So firmware/hal/chip/in_place.py has the functions of a module that was loaded go on from the
.mpy itself. That asks two things of the file: a function lies in one block, and machine code begins at a multiple of
four bytes there. Both come about by leading zeros in the length that is written before each function, which any
reader of the format takes (MicroPython's py/persistentcode.c, read_uint). Behind the module, where no reader looks,
stands a table of the pieces that can be used in place: for each, longest first, u16 offset in the file and u16 length,
then u16 how many, and last of all b"FL"; little-endian. Bit 15 of a length says that it is machine code that is
entered at its beginning alone, which a generator's is not.
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

from quaver.errors import BuildError

BLOCK = 4096  # of littlefs, as every board of ours has it
MARK = b"FL"
_MAGIC = b"M\x06"
_BYTECODE, _NATIVE, _ASM = 0, 1, 3
_MACHINE = 0x8000
_STRING, _BYTES, _TUPLE = 5, 6, 10
_PLAIN = range(5)  # objects without a length
_WORTH = 64  # bytes of a constant that is used in place
_LEAST = 17  # bytes of a function: a smaller one takes a block of the heap or less, and may be another's beginning
_ALIGN = 4
_ZERO = 0x80  # a leading digit 0 of a number in base 128


class _Place(NamedTuple):
    """What can be used where it lies: offsets in the .mpy, of the length that is written before it and of itself."""

    begins: int
    starts: int
    length: int
    align: int
    machine_code: bool  # entered at its beginning alone


class _Reader:
    """Goes through a .mpy, and finds its places, in their order."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._at = 0
        self.places: list[_Place] = []

    def take(self, count: int) -> bytes:
        data = self._source[self._at : self._at + count]
        if len(data) < count:
            raise BuildError("a .mpy file is cut short")
        self._at += count
        return data

    def number(self) -> int:
        value = 0
        while True:
            (digit,) = self.take(1)
            value = value << 7 | digit & 0x7F
            if not digit & _ZERO:
                return value

    def item(self) -> None:
        (kind,) = self.take(1)
        if kind in _PLAIN:
            return
        begins = self._at
        length = self.number()
        if kind == _TUPLE:
            for _ in range(length):
                self.item()
            return
        ends = kind in (_STRING, _BYTES)
        if ends and length >= _WORTH:
            self.places.append(_Place(begins, self._at, length + 1, _ALIGN, False))
        self.take(length + ends)

    def function(self, outermost: bool = False) -> None:
        begins = self._at
        head = self.number()
        kind, length = head & 3, head >> 3
        starts = self._at
        code = self.take(length)
        machine_code = False
        if kind != _BYTECODE:
            number = self.number()  # where the prelude is, or the scope's flags
            machine_code = kind != _NATIVE or not _is_generator(code[number:])
        if not outermost:  # what runs once, as the module is loaded, is not kept
            self.places.append(_Place(begins, starts, length, 1 if kind == _BYTECODE else _ALIGN, machine_code))
        if kind == _ASM:
            self.number()
            self.number()
        if head & 4:
            for _ in range(self.number()):
                self.function()

    def whole(self) -> None:
        if self.take(4)[:2] != _MAGIC:
            raise BuildError("expected a .mpy file of version 6")
        names, items = self.number(), self.number()
        for _ in range(names):
            length = self.number()
            if not length & 1:
                self.take((length >> 1) + 1)
        for _ in range(items):
            self.item()
        self.function(outermost=True)
        if self._at != len(self._source):
            raise BuildError("a .mpy file is longer than its code")


@functools.lru_cache(1024)  # a module is laid out at hundreds of offsets before it has its pack
def _places(mpy: bytes) -> list[_Place]:
    reader = _Reader(mpy)
    reader.whole()
    return reader.places


def _is_generator(prelude: bytes) -> bool:
    """Whether the flags in a function's prelude say so (MicroPython's py/bc.h, MP_BC_PRELUDE_SIG_DECODE_INTO)."""
    return bool(prelude[0] & 0x80 and prelude[1] & 0x40)


def _end(offset: int) -> int:
    """Where in a file the block ends that holds the byte at `offset`; a multiple of four.

    A file's block n, but the first, begins with pointers to earlier ones: 4 bytes, and 4 more for each time that 2
    divides n (littlefs, DESIGN.md, "CTZ skip-lists").
    """
    end = block = 0
    while end <= offset:
        end += BLOCK - 4 * (block & -block).bit_length()
        block += 1
    return end


def blocks(length: int) -> int:
    """How many blocks a file of so many bytes takes."""
    count = end = 0
    while end < length:
        end = _end(end)
        count += 1
    return count


def laid_out(mpy: bytes, offset: int = 0) -> bytes:
    """The same module, with its functions where they can be used in place. Raises BuildError for what is no .mpy.

    offset: where in its file it is to stand.
    """
    parts: list[bytes] = []
    pieces = []  # length, place in the file, and the mark of machine code
    done, shift = 0, offset
    for place in _places(mpy):
        start = place.starts + shift
        start += -start % place.align
        end = _end(start)
        if start + place.length > end and end + place.length <= _end(end):
            start = end
        parts += mpy[done : place.begins], bytes([_ZERO]) * (start - place.starts - shift)
        done, shift = place.begins, start - place.starts
        if start + place.length <= _end(start) and place.length >= _LEAST:
            pieces.append((place.length, start, _MACHINE if place.machine_code else 0))
    pieces.sort(key=lambda piece: (-piece[0], piece[1]))
    table = b"".join(struct.pack("<HH", start, length | mark) for length, start, mark in pieces)
    return b"".join((*parts, mpy[done:], table, struct.pack("<H", len(pieces)), MARK))
