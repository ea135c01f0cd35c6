"""Decodes a message as quaver_wire.decoder does, in two thirds of its time where there are only plain numbers.

What hosts alone send (host_fields.py) is decoded too.

Ordinary telemetry is a map of numbers to integers, byte strings and arrays of integers. cbor2 reads such a map in C,
and writes it again, each item in its shortest form: the same bytes show that each had it, and that no key was twice
there. What is anything else, or not the same, is for quaver_wire.decoder to take or to refuse.
"""

from __future__ import annotations

from typing import Any

import cbor2

from quaver.messages import host_fields
from quaver_wire import decoder

_END = 1 << 64  # of CBOR's integers
_ITEMS = 64  # this, and what follows: the bounds of quaver_wire.decoder
_LENGTH = 512
_MESSAGE = 1024


def decode(data: bytes, message_class: str) -> dict[str, Any]:
    """As quaver_wire.decoder.decode, and it raises what that does."""
    found = _loads(data)
    record = decoder.named(found, message_class)
    if message_class == "telemetry":
        host_fields.add(record, found)
    return record


def _loads(data: bytes) -> Any:
    if len(data) <= _MESSAGE:
        try:
            found = cbor2.loads(data)
        except Exception:  # whatever cbor2 says of it, the strict decoder says why
            return decoder.loads(data)
        if _plain(found) and cbor2.dumps(found) == data:
            return found
    return decoder.loads(data)


def _plain(found: Any) -> bool:
    """Whether it is a map of ascending numbers to integers, byte strings and arrays of integers and nulls."""
    if type(found) is not dict or len(found) > _ITEMS:
        return False
    before = -1
    for key, value in found.items():
        if type(key) is not int or not before < key < _END:
            return False
        before = key
        if type(value) is list:
            if len(value) > _ITEMS:
                return False
            for item in value:
                if item is not None and (type(item) is not int or not -_END <= item < _END):
                    return False
        elif type(value) is int:
            if not -_END <= value < _END:
                return False
        elif type(value) is not bytes or len(value) > _LENGTH:
            return False
    return True
