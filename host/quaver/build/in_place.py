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

import struct

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


class _Layout:
    """A .mpy that is read, and written anew at once."""

    def __init__(self, source: bytes, offset: int) -> None:
        self._source = source
        self._at = 0
        self.made = bytearray(offset)  # what stands before the module in its file
        self.pieces: list[tuple[int, int]] = []  # length and offset of what lies in one block
        self.machine_code: set[int] = set()  # offsets of what is entered at its beginning alone

    def copy(self, count: int) -> bytes:
        data = self._source[self._at : self._at + count]
        if len(data) < count:
            raise BuildError("a .mpy file is cut short")
        self._at += count
        self.made += data
        return data

    def number(self) -> int:
        """Copy a number; its value."""
        value = 0
        while True:
            (digit,) = self.copy(1)
            value = value << 7 | digit & 0x7F
            if not digit & _ZERO:
                return value

    def placed(self, length: int, begins: int, align: int) -> None:
        """Have the `length` bytes that come next lie in one block; the number before them was written at `begins`."""
        start = len(self.made)
        start += -start % align
        end = _end(start)
        if start + length > end and end + length <= _end(end):
            start = end
        self.made[begins:begins] = bytes([_ZERO]) * (start - len(self.made))
        if start + length <= _end(start) and length >= _LEAST:
            self.pieces.append((length, start))

    def item(self) -> None:
        (kind,) = self.copy(1)
        if kind in _PLAIN:
            return
        begins = len(self.made)
        length = self.number()
        if kind == _TUPLE:
            for _ in range(length):
                self.item()
            return
        ends = kind in (_STRING, _BYTES)
        if ends and length >= _WORTH:
            self.placed(length + 1, begins, _ALIGN)
        self.copy(length + ends)

    def function(self, outermost: bool = False) -> None:
        begins = len(self.made)
        head = self.number()
        kind, length = head & 3, head >> 3
        if not outermost:  # what runs once, as the module is loaded, is not kept
            self.placed(length, begins, 1 if kind == _BYTECODE else _ALIGN)
        start = len(self.made)
        code = self.copy(length)
        if kind != _BYTECODE:
            number = self.number()  # where the prelude is, or the scope's flags
            if kind != _NATIVE or not _is_generator(code[number:]):
                self.machine_code.add(start)
        if kind == _ASM:
            self.number()
            self.number()
        if head & 4:
            for _ in range(self.number()):
                self.function()

    def whole(self) -> bytes:
        if self.copy(4)[:2] != _MAGIC:
            raise BuildError("expected a .mpy file of version 6")
        names, items = self.number(), self.number()
        for _ in range(names):
            length = self.number()
            if not length & 1:
                self.copy((length >> 1) + 1)
        for _ in range(items):
            self.item()
        self.function(outermost=True)
        if self._at != len(self._source):
            raise BuildError("a .mpy file is longer than its code")
        return bytes(self.made)


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
    layout = _Layout(mpy, offset)
    whole = layout.whole()[offset:]
    pieces = sorted(layout.pieces, key=lambda piece: (-piece[0], piece[1]))
    table = b"".join(
        struct.pack("<HH", offset, length | (_MACHINE if offset in layout.machine_code else 0))
        for length, offset in pieces
    )
    return whole + table + struct.pack("<H", len(pieces)) + MARK
