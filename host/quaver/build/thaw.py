"""Modules frozen into an official image, as the .mpy files they were frozen from.

Bytecode is the same on every chip, so that what one image has is a library for a board whose image lacks it. Freezing
drops the lengths of bytecode and tables; they follow from the instructions. Structures and encodings are those of
MicroPython v1.27: py/qstr.c, py/bc.h, py/bc0.h, py/emitglue.h, py/obj.h and py/persistentcode.c.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from quaver.errors import BuildError

_EXPECTED = "expected an official image of MicroPython 1.27"

_MPY_HEADER = b"M\x06\x00\x1f"  # version 6, bytecode alone, small integers of 31 bits
_BYTECODE = 2  # a raw code's kind

# A qstr, an interned string, is a number. Up to this one it is the same number everywhere, and stands in .mpy files.
_LAST_SHARED_QSTR = "zip"
_POOL_HEAD = struct.Struct("<3I")  # the pool before, how many qstrs come before it and whether it is sorted, 10
_POOL_ALLOC = 10
_POOL_SORTED = 1 << 31

_STR, _BYTES, _INT, _TUPLE = 5, 6, 7, 10  # constants in .mpy files (py/persistentcode.h)

# Instructions (py/bc0.h). The upper four bits tell the operand, those of 0x9e whether a byte follows it.
_QSTR, _NUMBER, _OFFSET = 1, 2, 3
_OPERANDS = {0x1: _QSTR, 0x2: _NUMBER, 0x3: _NUMBER, 0x4: _OFFSET}
_EXTRA_BYTE = 0x9E
_INSTRUCTIONS = range(0x10, 0xFA)
_LOAD_OBJECT = 0x23
_MAKE_FUNCTION = (0x20, 0x21, 0x32, 0x33)
_SIGNED_OFFSETS = (0x40, 0x42, 0x43, 0x44)
_GO_ELSEWHERE = (0x40, 0x42, 0x63, 0x64, 0x65, 0x66)  # unwind and jump, jump, return, and three ways to raise
_RETURN_NONE = b"\x51\x63"


def thaw(image: bytes, start: int, package: str) -> dict[str, bytes]:
    """The modules of a frozen package, path on the device ("aioble/core.mpy") -> .mpy.

    image: flash as the chip sees it from the address `start` on. Raises BuildError.
    """
    memory = _Memory(image, start)
    qstrs = _read_qstrs(memory)
    files = {
        f"{name.removesuffix('.py')}.mpy": _thaw_module(memory, qstrs, number)
        for number, name in enumerate(qstrs)
        if name.startswith(f"{package}/") and name.endswith(".py")
    }
    if not files:
        raise BuildError(f"the image has no frozen package {package}: name an image that has it")
    return files


class _Memory:
    """An image's bytes by address; who reads past its end gets a BuildError."""

    def __init__(self, image: bytes, start: int) -> None:
        self.start, self.end = start, start + len(image)
        self._image = image

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end

    def read(self, address: int, size: int) -> bytes:
        if address not in self or address + size > self.end:
            raise BuildError(f"the image has no {size} bytes at 0x{address:x}: {_EXPECTED}")
        return self._image[address - self.start : address - self.start + size]

    def byte(self, address: int) -> int:
        return self.read(address, 1)[0]

    def half(self, address: int) -> int:
        return int.from_bytes(self.read(address, 2), "little")

    def word(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def places(self, data: bytes) -> Iterator[int]:
        """The addresses at which `data`, an integer or more of one size, stands: multiples of its size, up to 4."""
        at = self._image.find(data)
        while at >= 0:
            if at % min(len(data), 4) == 0:
                yield self.start + at
            at = self._image.find(data, at + 1)

    def pointers_to(self, address: int) -> Iterator[int]:
        """The addresses of the words that hold `address`."""
        return self.places(struct.pack("<I", address))


# --- qstrs ----------------------------------------------------------------------------------------------------------


def _read_qstrs(memory: _Memory) -> list[str]:
    """All qstrs of an image by number: pools, each but the first with the address of the one before it."""
    qstrs: list[str] = []
    head = _POOL_HEAD.pack(0, 0, _POOL_ALLOC)
    while True:
        pools = [(place, pool) for place in memory.places(head) if (pool := _read_pool(memory, place))]
        if not pools:
            break
        if len(pools) > 1:
            raise BuildError(f"the image has two tables of qstrs in one place: {_EXPECTED}")
        place, pool = pools[0]
        qstrs += pool
        head = _POOL_HEAD.pack(place, len(qstrs) | _POOL_SORTED, _POOL_ALLOC)
    if _LAST_SHARED_QSTR not in qstrs:
        raise BuildError(f"the image has no table of qstrs: {_EXPECTED}")
    return qstrs


def _read_pool(memory: _Memory, place: int) -> list[str] | None:
    """A pool's strings; None where there is no pool, which the length and hash of each string tell."""
    try:
        count, hashes, lengths = (memory.word(place + at) for at in (12, 16, 20))
        strings: list[str] = []
        for number in range(count):
            text = memory.read(memory.word(place + 24 + 4 * number), memory.byte(lengths + number) + 1)
            none = not strings and text == b"\0"  # the very first qstr stands for "no string", and has no hash
            if text[-1] or (memory.byte(hashes + number) != _hash(text[:-1]) and not none):
                return None
            strings.append(text[:-1].decode())
    except (BuildError, UnicodeDecodeError):
        return None
    return strings


def _hash(text: bytes) -> int:
    """The last byte of the djb2 hash, never 0 (py/qstr.c, qstr_compute_hash)."""
    return functools.reduce(lambda value, byte: value * 33 ^ byte, text, 5381) & 0xFF or 1


# --- modules --------------------------------------------------------------------------------------------------------


@dataclass
class _Used:
    """The lengths of a module's tables, as far as its bytecode uses them."""

    qstrs: int = 0
    objects: int = 0


def _thaw_module(memory: _Memory, qstrs: list[str], name: int) -> bytes:
    """The .mpy of the module whose file name is that qstr."""
    qstr_table, object_table, outermost = _find_module(memory, qstrs, name)
    used = _Used()
    code = _raw_code(memory, outermost, used)
    table = [memory.half(qstr_table + 2 * at) for at in range(used.qstrs)]
    shared = qstrs.index(_LAST_SHARED_QSTR)
    out = bytearray(_MPY_HEADER + _number(used.qstrs) + _number(used.objects))
    for number in table:
        if number <= shared:
            out += _number(number << 1 | 1)
        else:
            text = _qstr(qstrs, number).encode()
            out += _number(len(text) << 1) + text + b"\0"
    for at in range(used.objects):
        out += _object(memory, qstrs, memory.word(object_table + 4 * at))
    return bytes(out + code)


def _find_module(memory: _Memory, qstrs: list[str], name: int) -> tuple[int, int, int]:
    """The addresses of a module's qstr table, object table (0: none) and outermost code.

    These three words are the module, to which the image's list of modules points. Its first qstr is its file name.
    """
    found = []
    for table in memory.places(struct.pack("<H", name)):
        for module in memory.pointers_to(table):
            objects, code = memory.word(module + 4), memory.word(module + 8)
            if (not objects or objects in memory) and code in memory and any(memory.pointers_to(module)):
                found.append((table, objects, code))
    if len(found) != 1:
        raise BuildError(f"the image has {qstrs[name]} {len(found)} times: {_EXPECTED}")
    return found[0]


def _qstr(qstrs: list[str], number: int) -> str:
    if number >= len(qstrs):
        raise BuildError(f"the image has no qstr {number}: {_EXPECTED}")
    return qstrs[number]


def _object(memory: _Memory, qstrs: list[str], value: int) -> bytes:
    """A constant as .mpy has it. Kinds that no thawed module has are refused."""
    if value & 1:
        number = (value ^ 0x80000000) - 0x80000000 >> 1
        return _sized(_INT, str(number).encode())
    if value & 7 == 2:
        return _sized(_STR, _qstr(qstrs, value >> 3).encode()) + b"\0"
    kind = _qstr(qstrs, memory.half(memory.word(value) + 6))  # an object's first word is its type, which has a name
    if kind in ("str", "bytes"):
        text = memory.read(memory.word(value + 12), memory.word(value + 8))
        return _sized(_STR if kind == "str" else _BYTES, text) + b"\0"
    if kind == "tuple":
        size = memory.word(value + 4)
        items = (_object(memory, qstrs, memory.word(value + 8 + 4 * at)) for at in range(size))
        return bytes([_TUPLE]) + _number(size) + b"".join(items)
    raise BuildError(f"a constant of type {kind} cannot be thawed: name a package without one")


def _sized(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + _number(len(data)) + data


# --- code -----------------------------------------------------------------------------------------------------------


def _raw_code(memory: _Memory, place: int, used: _Used, depth: int = 0) -> bytes:
    """A function, with those that it makes. It is bytecode, or where it makes some, two zeros, a kind and addresses."""
    children = 0
    code = place
    if not memory.half(place):
        code, children = memory.word(place + 4), memory.word(place + 8)
        if memory.byte(place + 2) != _BYTECODE or depth > 16:
            raise BuildError(f"the image has no bytecode at 0x{place:x}: {_EXPECTED}")
    data, made = _bytecode(memory, code, used)
    out = _number(len(data) << 3 | (made > 0) << 2) + data
    if made:
        out += _number(made)
        for at in range(made):
            out += _raw_code(memory, memory.word(children + 4 * at), used, depth + 1)
    return out


def _bytecode(memory: _Memory, start: int, used: _Used) -> tuple[bytes, int]:
    """The bytecode that starts there, and how many functions it makes.

    It ends with an instruction after which nothing follows and beyond which no jump goes.
    """
    at, names = _prelude(memory, start)
    used.qstrs = max(used.qstrs, *(name + 1 for name in names))
    made, furthest = 0, at
    going = True
    while going:
        instruction, kind = memory.byte(at), _OPERANDS.get(memory.byte(at) >> 4)
        if instruction not in _INSTRUCTIONS:
            raise BuildError(f"the image has no bytecode at 0x{at:x}: {_EXPECTED}")
        at += 1
        if kind == _OFFSET:
            offset, at = _read_offset(memory, at, instruction in _SIGNED_OFFSETS)
            furthest = max(furthest, at + offset)
        elif kind:
            number, at = _read_number(memory, at)
            if kind == _QSTR:
                used.qstrs = max(used.qstrs, number + 1)
            elif instruction == _LOAD_OBJECT:
                used.objects = max(used.objects, number + 1)
            elif instruction in _MAKE_FUNCTION:
                made = max(made, number + 1)
        if not instruction & _EXTRA_BYTE:
            at += 1
        going = instruction not in _GO_ELSEWHERE or furthest >= at
    if memory.read(at, 2) == _RETURN_NONE and not any(memory.pointers_to(at)):
        at += 2  # after a loop without an end, where nothing comes
    return memory.read(start, at - start), made


def _prelude(memory: _Memory, at: int) -> tuple[int, list[int]]:
    """The address of a function's first instruction, and what it is called and its parameters, by place in the table.

    Signature and sizes are numbers whose bits are interleaved (py/bc.h, MP_BC_PRELUDE_SIG_DECODE and _SIZE_).
    """
    byte = memory.byte(at)
    parameters, keywords = byte & 3, 0
    for count in itertools.count():
        at += 1
        if not byte & 0x80:
            break
        byte = memory.byte(at)
        parameters |= (byte & 4) << count
        keywords |= (byte & 8) >> 3 << count
    info = cells = 0
    for count in itertools.count():
        byte = memory.byte(at)
        at += 1
        cells |= (byte & 1) << count
        info |= (byte & 0x7E) >> 1 << 6 * count
        if not byte & 0x80:
            break
    names = []
    place = at
    for _ in range(1 + parameters + keywords):
        name, place = _read_number(memory, place)
        names.append(name)
    return at + info + cells, names


def _read_number(memory: _Memory, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the first ones first, and the address after it."""
    number = 0
    while True:
        byte = memory.byte(at)
        at += 1
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            return number, at


def _number(value: int) -> bytes:
    """As `_read_number` reads it."""
    out = bytearray([value & 0x7F])
    while value := value >> 7:
        out.insert(0, 0x80 | value & 0x7F)
    return bytes(out)


def _read_offset(memory: _Memory, at: int, signed: bool) -> tuple[int, int]:
    """How far a jump goes from the address after it, and that one. It has one byte or two, the last bits first."""
    low = memory.byte(at)
    if not low & 0x80:
        return low - (0x40 if signed else 0), at + 1
    return (low & 0x7F | memory.byte(at + 1) << 7) - (0x4000 if signed else 0), at + 2
