"""Encodes a message as one CBOR map with integer keys (RFC 8949, 4.2.1) into a buffer that the caller owns."""

from quaver_wire.fields import COMMON, MESSAGE_CLASSES, TABLES, WireError, const
from quaver_wire.primitives import put_bytes, put_float, put_head, put_milliseconds, put_number, put_text

if False:  # types alone: never compiled
    from typing import Any

_UINT = const(0)
_BYTES = const(2)
_ARRAY = const(4)
_MAP = const(5)
_NULL = const(0xF6)
_BELOW_UINT8 = const(23)  # the most that fits into an initial byte


def _put_group(buf: bytearray, at: int, members: "Any", record: "dict[str, Any]", left: int) -> "tuple[int, int]":
    """Write the positional array of `members`, without the nulls at its end, or nothing if none is there.

    left: how many values of `record` are not written yet. Returns the end, and how many are left then.
    """
    get = record.get
    count = 0
    last = 0
    head = at
    end = at = at + 1
    for place in range(0, len(members), 2):
        count += 1
        value = get(members[place])
        if value is None:
            buf[at] = _NULL
            at += 1
        else:
            before = at
            at = put_number(buf, at, value, members[place + 1])
            if buf[before] != _NULL:
                last = count
                end = at
            left -= 1
            if not left:
                break
    if not last:
        return head, left
    buf[head] = _ARRAY << 5 | last
    return end, left


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
    if form == "b":
        return put_bytes(buf, at, _BYTES, value)
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
        left = 0
        for value in record.values():
            if value is not None:
                left += 1
        at = 1
        for fields in (COMMON, table):
            for row in range(0, len(fields), 3):
                if not left:
                    break  # a third of the table is for few nodes
                key = fields[row]
                name = fields[row + 1]
                form = fields[row + 2]
                if name:
                    value = get(name)
                    if value is None:
                        continue
                    left -= 1
                start = at
                if key <= _BELOW_UINT8:
                    buf[at] = key
                    at += 1
                else:
                    at = put_head(buf, at, _UINT, key)
                value_at = at
                if not name:
                    at, left = _put_group(buf, at, form, record, left)
                elif isinstance(form, str):
                    at = _put_value(buf, at, form, value)
                else:
                    at = _put_array(buf, at, form, value)
                if at == value_at:
                    at = start
                else:
                    present += 1
        if left:
            raise WireError("a field that is not of this class")
        if present > _BELOW_UINT8:  # of few nodes: the map's head is a byte longer
            for i in range(at, 1, -1):
                buf[i] = buf[i - 1]
            at += 1
            buf[1] = present
            present = _BELOW_UINT8 + 1
        buf[0] = _MAP << 5 | present
    except (WireError, MemoryError):
        raise
    except Exception:  # struct.error is a ValueError on MicroPython, a class of its own on CPython
        raise WireError("a value of the wrong type, or a record that does not fit its buffer")
    return at
