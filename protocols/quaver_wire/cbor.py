"""Encodes a message as one CBOR map with integer keys (RFC 8949, 4.2.1) into a buffer that the caller owns."""

from struct import pack_into

from quaver_wire.fields import COMMON, MESSAGE_CLASSES, TABLES, WireError, const

TYPE_CHECKING = False
if TYPE_CHECKING:  # MicroPython has no typing, and does not evaluate annotations
    from typing import Any

_UINT = const(0)
_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_NULL = const(0xF6)
_FLOAT16 = const(0xF9)
_FLOAT32 = const(0xFA)
_UINT8 = const(24)
_UINT16 = const(25)
_UINT32 = const(26)
_UINT64 = const(27)
_TEXT_MAX = const(96)
_BELOW_UINT8 = const(23)  # the most that fits into an initial byte


def put_head(buf: bytearray, at: int, major: int, arg: int) -> int:
    """Write the initial byte and argument of an item at `at`, shortest form (RFC 8949, 4.2.1); return the end."""
    major <<= 5
    if arg < _UINT8:
        if arg < 0:
            raise WireError("negative")
        buf[at] = major | arg
        return at + 1
    if arg < 1 << 8:
        buf[at] = major | _UINT8
        buf[at + 1] = arg
        return at + 2
    if arg < 1 << 16:
        buf[at] = major | _UINT16
        buf[at + 1] = arg >> 8
        buf[at + 2] = arg & 0xFF
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


def put_number(buf: bytearray, at: int, value: "float | None", scale: int) -> int:
    """Write `value` as the integer nearest to `value` x `scale`, or null for None, NaN and infinity; return the end."""
    if value is None:
        buf[at] = _NULL
        return at + 1
    try:
        number = round(value * scale)
    except (OverflowError, ValueError):
        buf[at] = _NULL
        return at + 1
    if 255 < number < 1 << 16:  # most are: put_head's own branch, without the call
        buf[at] = _UINT16
        buf[at + 1] = number >> 8
        buf[at + 2] = number & 0xFF
        return at + 3
    if number < 0:
        return put_head(buf, at, 1, -1 - number)
    return put_head(buf, at, 0, number)


def put_float(buf: bytearray, at: int, value: float) -> int:
    """Write `value`, rounded to binary32, as binary16 if that is the same number; return the end.

    By the bits: MicroPython 1.27's own binary16 is wrong for numbers below 2 ** -14.
    """
    buf[at] = _FLOAT32
    pack_into(">f", buf, at + 1, value)
    exponent = (buf[at + 1] & 0x7F) << 1 | buf[at + 2] >> 7
    mantissa = (buf[at + 2] & 0x7F) << 16 | buf[at + 3] << 8 | buf[at + 4]
    if 113 <= exponent <= 142 and not mantissa & 0x1FFF:
        half = exponent - 112 << 10 | mantissa >> 13
    elif 103 <= exponent < 113 and not (mantissa | 1 << 23) & (1 << 126 - exponent) - 1:
        half = (mantissa | 1 << 23) >> 126 - exponent  # subnormal as a binary16
    elif exponent == 255:
        half = 0x7E00 if mantissa else 0x7C00
        if mantissa:
            buf[at + 1] = 0  # one NaN only, without a sign
    elif exponent or mantissa:
        return at + 5
    else:
        half = 0
    buf[at] = _FLOAT16
    buf[at + 1] = buf[at + 1] & 0x80 | half >> 8
    buf[at + 2] = half & 0xFF
    return at + 3


def put_bytes(buf: bytearray, at: int, major: int, data: bytes) -> int:
    """Write `data` as a string of `major` (2 bytes, 3 text); return the end."""
    at = put_head(buf, at, major, len(data))
    end = at + len(data)
    if end > len(buf):
        raise IndexError  # a bytearray would grow
    buf[at:end] = data
    return end


def put_text(buf: bytearray, at: int, value: str) -> int:
    """Write `value` as UTF-8 text, cut to 96 bytes at a character's edge; return the end."""
    data = value.encode()
    if len(data) > _TEXT_MAX:
        end = _TEXT_MAX
        while data[end] & 0xC0 == 0x80:  # a continuation byte: the character began before the edge
            end -= 1
        data = data[:end]
    return put_bytes(buf, at, _TEXT, data)


def put_milliseconds(buf: bytearray, at: int, value: int) -> int:
    """Write `value` as a byte string, big endian without leading zeros; return the end."""
    if not 0 <= value < 1 << 64:
        raise WireError("not milliseconds")
    count = 1
    while value >> 8 * count:
        count += 1
    return put_bytes(buf, at, _BYTES, value.to_bytes(count, "big"))


def _put_group(buf: bytearray, at: int, members: "Any", record: "dict[str, Any]") -> "tuple[int, int]":
    """Write the positional array of `members`, without the nulls at its end, or nothing if none is there.

    Returns the end, and how many of the members `record` has.
    """
    get = record.get
    known = 0
    count = 0
    last = 0
    head = at
    end = at = at + 1
    for name, scale in members:
        count += 1
        value = get(name)
        if value is None:
            buf[at] = _NULL
            at += 1
        else:
            known += 1
            before = at
            at = put_number(buf, at, value, scale)
            if buf[before] != _NULL:
                last = count
                end = at
    if not last:
        return head, known
    buf[head] = _ARRAY << 5 | last
    return end, known


def _put_array(buf: bytearray, at: int, scales: "Any", values: "Any") -> int:
    at = put_head(buf, at, _ARRAY, len(values))
    place = 0
    for value in values:
        at = put_number(buf, at, value, scales[place])
        place += 1
        if place == len(scales):
            place = 0
    return at


def _put_value(buf: bytearray, at: int, form: "Any", value: "Any") -> int:
    """Write `value` in the form of that letter; return `at` where it is no value."""
    if form == "u":
        return put_head(buf, at, _UINT, value)
    if form == "z":
        return put_head(buf, at, _UINT, value) if value else at
    if form == "m":
        return put_milliseconds(buf, at, value)
    if form == "t":
        return put_text(buf, at, value)
    if form == "f":
        return put_float(buf, at, value) if value - value == 0 else at
    if form == "l":
        at = put_head(buf, at, _ARRAY, len(value))
        for number in value:
            at = put_head(buf, at, _UINT, number)
        return at
    from quaver_wire.items import put_item  # few nodes answer with more than words

    return put_item(buf, at, value)


def encode(buf: bytearray, record: "dict[str, Any]", message_class: "str | None" = None) -> int:
    """Encode `record`, a dict of field names to values, into `buf`; return the length in bytes.

    message_class: one of MESSAGE_CLASSES; None for that of record["kind"]. A value that is None or not finite is left
    out: on this wire an absent value is an absent key, or null in an array.
    Raises WireError for an unknown class or name, a value out of range or a record that does not fit `buf`.
    """
    try:
        table = TABLES[MESSAGE_CLASSES.index(message_class) if message_class is not None else record["kind"]]
        get = record.get
        present = 0
        known = 0
        at = 1
        for fields in (COMMON, table):
            for key, name, form in fields:
                if name:
                    value: "Any" = get(name)
                    if value is None:
                        continue
                    known += 1
                start = at
                if key <= _BELOW_UINT8:
                    buf[at] = key
                    at += 1
                else:
                    at = put_head(buf, at, _UINT, key)
                value_at = at
                if not name:
                    at, more = _put_group(buf, at, form, record)
                    known += more
                elif isinstance(form, str):
                    at = _put_value(buf, at, form, value)
                else:
                    at = _put_array(buf, at, form, value)
                if at == value_at:
                    at = start
                else:
                    present += 1
        for value in record.values():
            if value is not None:
                known -= 1
        if known:
            raise WireError("a field that is not of this class")
        buf[0] = _MAP << 5 | present
    except (WireError, MemoryError):
        raise
    except Exception:  # struct.error is a ValueError on MicroPython, a class of its own on CPython
        raise WireError("a value of the wrong type, or a record that does not fit its buffer")
    return at
