"""Whether the elements of a MAT-file fit into each other; SciPy's reader trusts them, and ends the process if not.

The format is MathWorks' "MAT-File Format", level 5: elements of a type and a length, of which a matrix holds others.
SciPy takes the type of each for an index into a table in C, and reads on by what a matrix should hold. So each must be
of a type with numbers, each matrix must hold just what its class asks for, and all must end where the next begins. It
also makes room for what the dimensions say before it looks whether that is there.
"""

from __future__ import annotations

import math
import struct
import zlib

_HEADER = 128  # bytes
_ORDERS = {b"IM": "<", b"MI": ">"}  # at the header's end
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}  # types of elements
_INT32, _FLAGS, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_CHAR, _SPARSE, _LAST_NUMERIC = 4, 5, 15  # classes of matrices; the numeric ones lie between
_COMPLEX = 0x0800
_ABOUT = 3  # elements before a matrix's content: flags, dimensions, name
_DEEPEST = 16
_INFLATED_MAX = 1 << 30


class DamagedError(ValueError):
    """Elements that do not fit."""


def check_elements(data: bytes) -> None:
    """Raises DamagedError, or zlib.error. Files of level 4, and what is none, have no elements and are passed over."""
    order = _ORDERS.get(data[126:128])
    if order is None or 0 in data[:4]:
        return
    at = _HEADER
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        at += 8
        if size > len(data) - at:
            raise DamagedError("a variable goes on behind the end of the file")
        if kind == _COMPRESSED:
            inflate = zlib.decompressobj()
            found = inflate.decompress(data[at : at + size], _INFLATED_MAX)
            kind, inner = struct.unpack_from(order + "II", found) if len(found) >= 8 else (0, 0)
            if inflate.unconsumed_tail or inner != len(found) - 8:
                raise DamagedError("a compressed variable is not as long as it says")
            if kind == _MATRIX:
                _matrix(found, 8, len(found), order, _DEEPEST, True)
        elif kind == _MATRIX:
            _matrix(data, at, at + size, order, _DEEPEST, True)
        at += size


def _matrix(data: bytes, at: int, end: int, order: str, depth: int, last: bool) -> None:
    """The elements of a matrix. last: nothing is read behind it, so its last element may lack what fills it up."""
    if at == end:
        return
    if not depth:
        raise DamagedError("matrices are nested too deep")
    if end - at < 16 or struct.unpack_from(order + "II", data, at) != (_FLAGS, 8):
        raise DamagedError("a matrix does not begin with its flags")
    (flags,) = struct.unpack_from(order + "I", data, at + 8)
    holds_numbers = _CHAR <= flags & 0xFF <= _LAST_NUMERIC
    count, most = 0, end - at
    while at < end:
        if end - at < 8:
            raise DamagedError("an element is cut off")
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:  # a small one: both in four bytes, and its content in the other four
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise DamagedError("a small element is too long")
        else:
            begin = at + 8
            following = begin + size + (-size & 7)
            if last and begin + size == end:
                following = end
        if following > end:
            raise DamagedError("an element goes on behind its matrix")
        if count == 1 and kind in (_INT32, _FLAGS):  # dimensions; a value takes a byte at least, but of a sparse one
            whole = math.prod(struct.unpack_from(f"{order}{size // 4}i", data, begin))
            if flags & 0xFF != _SPARSE and not 0 <= whole <= most:
                raise DamagedError(f"a matrix of {whole} values, in {most} bytes")
        if kind == _MATRIX and count >= _ABOUT and not holds_numbers:
            _matrix(data, begin, begin + size, order, depth - 1, False)
        elif kind not in _NUMBERS:
            raise DamagedError(f"an element of type {kind}, where numbers belong")
        count += 1
        at = following
    parts = 3 if flags & 0xFF == _SPARSE else 1
    if holds_numbers and count != _ABOUT + parts + (flags & _COMPLEX != 0):
        raise DamagedError(f"a matrix has {count} elements")
