"""Encodes values that no table describes, the arguments and results of commands, in the deterministic form of CBOR."""

from quaver_wire.fields import WireError, const
from quaver_wire.primitives import put_bytes, put_float, put_head

if False:  # types alone: never compiled
    from typing import Any

_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_MAP = const(5)
_FALSE = const(0xF4)
_TRUE = const(0xF5)
_NULL = const(0xF6)
_DEPTH = 3  # with the message's own map the reader's 4
_ITEMS = 64
_LENGTH = 512


def put_item(buf: bytearray, at: int, value: "Any", depth: int = _DEPTH) -> int:
    """Write None, bool, int, float, str, bytes, a list or a dict with keys of int or str; return the end.

    A float is rounded to binary32. Raises WireError for what decoder.py would not take back.
    """
    if value is None or value is True or value is False:
        if at >= len(buf):
            raise IndexError
        buf[at] = _NULL if value is None else _TRUE if value else _FALSE
        return at + 1
    if isinstance(value, int):
        return put_head(buf, at, 1, -1 - value) if value < 0 else put_head(buf, at, 0, value)
    if isinstance(value, float):
        return put_float(buf, at, value)
    if isinstance(value, str):
        return _put_string(buf, at, _TEXT, value.encode())
    if isinstance(value, bytes):
        return _put_string(buf, at, _BYTES, value)
    if not depth:
        raise WireError("nested too deep")
    if len(value) > _ITEMS:
        raise WireError("over 64 items")
    if isinstance(value, (list, tuple)):
        at = put_head(buf, at, _ARRAY, len(value))
        for item in value:
            at = put_item(buf, at, item, depth - 1)
        return at
    if isinstance(value, dict):
        at = put_head(buf, at, _MAP, len(value))
        for name, key in sorted([(_key(key), key) for key in value]):
            end = at + len(name)
            if end > len(buf):
                raise IndexError
            buf[at:end] = name
            at = put_item(buf, end, value[key], depth - 1)
        return at
    raise WireError("a value that CBOR can't encode here")


def _put_string(buf: bytearray, at: int, major: int, data: bytes) -> int:
    if len(data) > _LENGTH:
        raise WireError("a string of over 512 bytes")
    return put_bytes(buf, at, major, data)


def _key(key: "Any") -> bytes:
    """The key's own bytes, by which keys are sorted (RFC 8949, 4.2.1)."""
    if isinstance(key, bool) or not isinstance(key, (int, str)):
        raise WireError("a key that is neither integer nor text")
    buf = bytearray(3 + _LENGTH)
    return bytes(buf[: put_item(buf, 0, key, 0)])
