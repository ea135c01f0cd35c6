"""Decodes a message, strict: only the deterministic form of CBOR (RFC 8949, 4.2.1) and a bounded part of it.

Taken are integers of 64 bits, byte and text strings, arrays, maps with keys of integers and text, false, true, null,
binary16 and binary32. Refused, with WireError and nothing else: any other item (tags, binary64, undefined, indefinite
lengths), an argument or a float that has a shorter form, keys out of order or twice, text that is not UTF-8, a string
over 512 bytes, an array or map over 64 entries, more than 4 levels, a message over 1,024 bytes, and bytes after it.
"""

from struct import unpack

from quaver_wire.fields import COMMON, MESSAGE_CLASSES, TABLES, VERSION, WireError, const

if False:  # types alone: never compiled
    from typing import Any

_MESSAGE = const(1024)
_LENGTH = const(512)
_ITEMS = const(64)
_DEPTH = const(4)
_LOWEST = (24, 1 << 8, 1 << 16, 1 << 32)  # what an argument of 1, 2, 4, 8 bytes must reach to be the shortest


class FieldError(WireError):
    """A field whose value is not of its form."""


class VersionError(WireError):
    """A message of another version. `found` is the number it gives."""

    def __init__(self, found: int) -> None:
        super().__init__("version {}: this quaver reads version {}".format(found, VERSION))
        self.found = found


def loads(data: "bytes | bytearray | memoryview", end: "int | None" = None) -> "Any":
    """The one item that `data` (its first `end` bytes) holds. Raises WireError."""
    if end is None:
        end = len(data)
    if end > _MESSAGE:
        raise WireError("over 1024 bytes")
    value, at = _item(data, 0, end, _DEPTH)
    if at != end:
        raise WireError("{} bytes after the message".format(end - at))
    return value


def _item(data: "Any", at: int, end: int, depth: int) -> "tuple[Any, int]":
    if at >= end:
        raise WireError("ends too early")
    arg = data[at]
    at += 1
    major = arg >> 5
    arg &= 31
    if major == 7:
        return _simple(data, at, end, arg)
    if arg >= 24:
        if arg > 27:
            raise WireError("a length that is indefinite or reserved")
        lowest = _LOWEST[arg - 24]
        after = at + (1 << arg - 24)
        if after > end:
            raise WireError("ends too early")
        arg = int.from_bytes(data[at:after], "big")
        if arg < lowest:
            raise WireError("an argument that has a shorter form")
        at = after
    if major == 0:
        return arg, at
    if major == 1:
        return -1 - arg, at
    if major < 4:
        if arg > _LENGTH:
            raise WireError("a string of over 512 bytes")
        after = at + arg
        if after > end:
            raise WireError("ends too early")
        found = bytes(data[at:after])
        return (found if major == 2 else _text(found)), after
    if major == 6:
        raise WireError("a tag")
    if arg > _ITEMS:
        raise WireError("over 64 items")
    if not depth:
        raise WireError("nested too deep")
    if major == 4:
        items = []
        for _ in range(arg):
            item, at = _item(data, at, end, depth - 1)
            items.append(item)
        return items, at
    entries = {}
    before = b""
    for _ in range(arg):
        start = at
        key, at = _item(data, at, end, 0)
        encoded = bytes(data[start:at])
        if encoded[0] >> 5 not in (0, 1, 3):
            raise WireError("a key that is neither integer nor text")
        if encoded <= before:
            raise WireError("keys that are out of order or twice there")
        before = encoded
        entries[key], at = _item(data, at, end, depth - 1)
    return entries, at


def _simple(data: "Any", at: int, end: int, arg: int) -> "tuple[Any, int]":
    if arg == 22:
        return None, at
    if arg == 20 or arg == 21:
        return arg == 21, at
    if arg != 25 and arg != 26:
        raise WireError("an unsupported simple value or float")
    after = at + (2 if arg == 25 else 4)
    if after > end:
        raise WireError("ends too early")
    found = bytes(data[at:after])
    value = unpack(">e" if arg == 25 else ">f", found)[0]
    if value != value:
        if found != b"\x7e\x00":
            raise WireError("a NaN that has a shorter form")
    elif arg == 26 and _fits_binary16(found):
        raise WireError("a float that has a shorter form")
    return value, after


def _fits_binary16(single: bytes) -> bool:
    """Whether a binary32, not NaN, is a binary16 too; by its bits, as no port rounds alike."""
    exponent = (single[0] & 0x7F) << 1 | single[1] >> 7
    mantissa = (single[1] & 0x7F) << 16 | single[2] << 8 | single[3]
    if 113 <= exponent <= 142 or exponent == 255:
        return not mantissa & 0x1FFF
    if 103 <= exponent < 113:  # subnormal as a binary16: the hidden bit moves to the right
        return not (mantissa | 1 << 23) & (1 << 126 - exponent) - 1
    return not exponent and not mantissa


def _text(data: bytes) -> str:
    """`data` as text. MicroPython takes surrogates and overlong forms, so RFC 3629's own table is checked here."""
    at = 0
    while at < len(data):
        lead = data[at]
        at += 1
        if lead < 0x80:
            continue
        more = 1 if 0xC2 <= lead < 0xE0 else 2 if 0xE0 <= lead < 0xF0 else 3 if 0xF0 <= lead < 0xF5 else 0
        tail = data[at : at + more]
        at += more
        if not more or len(tail) != more:
            raise WireError("text that is not UTF-8")
        for byte in tail:
            if byte & 0xC0 != 0x80:
                raise WireError("text that is not UTF-8")
        second = tail[0]
        if (
            (lead == 0xE0 and second < 0xA0)
            or (lead == 0xED and second > 0x9F)
            or (lead == 0xF0 and second < 0x90)
            or (lead == 0xF4 and second > 0x8F)
        ):
            raise WireError("text that is not UTF-8")
    return str(data, "utf-8")


def decode(
    data: "bytes | bytearray | memoryview", message_class: "str | None" = None, end: "int | None" = None
) -> "dict[str, Any]":
    """The record that `data` (its first `end` bytes) holds, field names to values, as cbor.encode was given it.

    message_class: the one that the message must have; None for the one it names itself. Scaled numbers come back as
    floats (integers where a unit is one step); what is absent is not in the dict; unknown keys are passed over.
    Raises WireError: VersionError for another version, FieldError for a value that is not of its field's form.
    """
    return named(loads(data, end), message_class)


def named(given: "Any", message_class: "str | None" = None) -> "dict[str, Any]":
    """The record that the item `given` is, as `decode` gives it. Raises what that does."""
    if not isinstance(given, dict):
        raise WireError("not a map")
    version: "Any" = given.get(0)
    if not _is_uint(version):
        raise FieldError("no version")
    if version != VERSION:
        raise VersionError(version)
    kind: "Any" = given.get(1)
    if kind is None and message_class is not None:
        kind = MESSAGE_CLASSES.index(message_class)
    if (
        not _is_uint(kind)
        or kind >= len(MESSAGE_CLASSES)
        or (message_class is not None and MESSAGE_CLASSES[kind] != message_class)
    ):
        raise FieldError(
            "kind is {}: expected {}".format(
                _shown(kind), MESSAGE_CLASSES.index(message_class) if message_class else "one of MESSAGE_CLASSES"
            )
        )
    record: "dict[str, Any]" = {}
    for fields in (COMMON, TABLES[kind]):
        for row in range(0, len(fields), 3):
            key = fields[row]
            name = fields[row + 1]
            form = fields[row + 2]
            value = given.get(key)
            if value is None:
                if form == "z":
                    record[name] = 0
            elif name:
                record[name] = _value(name, form, value)
            else:
                _group(record, key, form, value)
    return record


def _is_uint(value: "Any") -> bool:
    return type(value) is int and value >= 0


def _value(name: str, form: "Any", value: "Any") -> "Any":
    if form == "u" or form == "z":
        if _is_uint(value):
            return value
    elif form == "m":
        if isinstance(value, bytes) and 1 <= len(value) <= 8 and (value[0] or len(value) == 1):
            return int.from_bytes(value, "big")
    elif form == "t":
        if isinstance(value, str):
            return value
    elif form == "b":
        if isinstance(value, bytes):
            return value
    elif form == "f":
        if isinstance(value, float) and value - value == 0:
            return value
    elif form == "o":
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    break
            else:
                return value
    elif isinstance(value, list):
        if form != "l":
            return _numbers(name, form, value)
        for item in value:
            if not _is_uint(item):
                break
        else:
            return value
    raise FieldError("{} is {}: expected {}".format(name, _shown(value), _expected(form)))


def _group(record: "dict[str, Any]", key: int, members: "Any", values: "Any") -> None:
    if not isinstance(values, list):
        raise FieldError("{} is {}: expected an array of numbers".format(key, _shown(values)))
    place = 0
    for value in values[: len(members) >> 1]:
        if value is not None:
            name = members[place]
            scale = members[place + 1]
            if type(value) is not int:
                raise _no_number(name, value)
            record[name] = value if scale == 1 else value / scale
        place += 2


def _numbers(name: str, form: "Any", values: "Any") -> "list[Any]":
    found: "list[Any]" = []
    for place, value in enumerate(values):
        if value is not None:
            if type(value) is not int:
                raise _no_number(name, value)
            scale = form[place % len(form)]
            if scale != 1:
                value = value / scale
        found.append(value)
    return found


def _no_number(name: str, value: "Any") -> FieldError:
    return FieldError("{} is {}: expected a number".format(name, _shown(value)))


def _expected(form: "Any") -> str:
    return {
        "u": "an unsigned integer",
        "z": "an unsigned integer",
        "m": "milliseconds as a byte string",
        "t": "text",
        "b": "a byte string",
        "f": "a finite number",
        "l": "an array of unsigned integers",
        "o": "a map with keys of text",
    }.get(form, "an array of numbers")


def _shown(value: "Any") -> str:
    return repr(value)[:80]
