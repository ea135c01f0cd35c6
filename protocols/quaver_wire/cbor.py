"""Encodes a record as one CBOR map with integer keys (RFC 8949) over a buffer that the caller owns."""

from struct import pack_into

from micropython import const

from quaver_wire.fields import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:  # MicroPython has no typing, and does not evaluate annotations
    from typing import Any

_UINT = const(0)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_FLOAT32 = const(0xFA)
_UINT8 = const(24)
_UINT16 = const(25)
_UINT32 = const(26)
_UINT64 = const(27)
_TEXT_MAX = const(96)


class WireError(ValueError):
    """A value that the wire format can't carry."""


def put_head(buf: bytearray, at: int, major: int, arg: int) -> int:
    """Write the initial byte and argument of an item at `at`, shortest form (RFC 8949 4.2.1); return the end."""
    major <<= 5
    if arg < 0:
        raise WireError("negative")
    if arg < _UINT8:
        buf[at] = major | arg
        return at + 1
    if arg < 1 << 8:
        buf[at] = major | _UINT8
        buf[at + 1] = arg
        return at + 2
    if arg < 1 << 16:
        buf[at] = major | _UINT16
        pack_into(">H", buf, at + 1, arg)
        return at + 3
    if arg < 1 << 32:
        buf[at] = major | _UINT32
        pack_into(">I", buf, at + 1, arg)
        return at + 5
    if arg < 1 << 64:
        buf[at] = major | _UINT64
        pack_into(">Q", buf, at + 1, arg)
        return at + 9
    raise WireError("over 64 bits")


def put_float(buf: bytearray, at: int, value: float) -> int:
    """Write `value` as a binary32 float; return the end."""
    buf[at] = _FLOAT32
    pack_into(">f", buf, at + 1, value)
    return at + 5


def put_text(buf: bytearray, at: int, value: str) -> int:
    """Write `value` as UTF-8 text, cut to 96 bytes at a character's edge; return the end."""
    data = value.encode()
    if len(data) > _TEXT_MAX:
        end = _TEXT_MAX
        while data[end] & 0xC0 == 0x80:  # a continuation byte: the character began before the edge
            end -= 1
        data = data[:end]
    at = put_head(buf, at, _TEXT, len(data))
    end = at + len(data)
    if end > len(buf):
        raise IndexError
    buf[at:end] = data
    return end


def _is_finite(value: float) -> bool:
    return value - value == 0


def _absent(value: "Any", kind: str) -> bool:
    if value is None:
        return True
    if kind == "a":
        return not all(_is_finite(v) for v in value)
    return kind == "f" and not _is_finite(value)


def encode(buf: bytearray, record: "dict[str, Any]") -> int:
    """Encode `record`, a dict of field names to values, into `buf`; return the length in bytes.

    A value that is None or not finite is left out: on this wire an absent value is an absent key.
    Raises WireError for an unknown name, a value out of range, or a record that does not fit `buf`.
    """
    present = 0
    known = 0
    for _key, name, kind in FIELDS:
        if name in record:
            known += 1
            if not _absent(record[name], kind):
                present += 1
    if known != len(record):
        raise WireError("unknown field")
    try:
        at = put_head(buf, 0, _MAP, present)
        for key, name, kind in FIELDS:
            value: "Any" = record.get(name)
            if _absent(value, kind):
                continue
            at = put_head(buf, at, _UINT, key)
            if kind == "u":
                at = put_head(buf, at, _UINT, value)
            elif kind == "f":
                at = put_float(buf, at, value)
            elif kind == "t":
                at = put_text(buf, at, value)
            else:
                at = put_head(buf, at, _ARRAY, len(value))
                for v in value:
                    at = put_float(buf, at, v)
    except (IndexError, ValueError) as error:  # struct.error is a ValueError on MicroPython
        if isinstance(error, WireError):
            raise
        raise WireError("record does not fit its buffer")
    return at
