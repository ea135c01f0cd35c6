"""The one field that hosts alone send. Nodes have no row for it in quaver_wire/fields.py: each row costs their heap.

Key 99 of telemetry, as in protocols/README.md: a map of names to [value, unit], of machines that a host reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from quaver_wire import cbor
from quaver_wire.decoder import FieldError
from quaver_wire.fields import TELEMETRY, WireError
from quaver_wire.items import put_item
from quaver_wire.names import rows
from quaver_wire.primitives import put_head

QUANTITIES = "quantities"
_KEY = 99  # it comes last, for keys rise (RFC 8949, 4.2.1): nothing of _BEHIND is beside it
_BEHIND = frozenset(name for key, name, _ in rows(TELEMETRY) if key > _KEY)
_CLASS = "telemetry"
_MAP, _FIELDS_MAX = 0xA0, 23  # of one initial byte, as quaver_wire.cbor writes them


def encode(buf: bytearray, record: Mapping[str, Any], message_class: str) -> int:
    """As quaver_wire.cbor.encode, and it raises what that does; `record` may have `quantities` too."""
    others = dict(record)
    quantities = others.pop(QUANTITIES, None)
    end = cbor.encode(buf, others, message_class)
    if quantities is None:
        return end
    fields = buf[0] - _MAP
    if message_class != _CLASS or fields >= _FIELDS_MAX or _BEHIND & others.keys():
        beside = " or ".join(sorted(_BEHIND))
        raise WireError(f"{QUANTITIES} in what is no telemetry, or beside over 22 fields or {beside}")
    try:
        end = put_item(buf, put_head(buf, end, 0, _KEY), quantities)
    except (IndexError, OverflowError, struct.error, ValueError) as error:
        raise WireError(f"{QUANTITIES} that no message can carry: {error}") from error
    buf[0] = _MAP + fields + 1
    return end


def add(record: dict[str, Any], given: Mapping[Any, Any]) -> None:
    """Put into `record`, the telemetry that the map `given` is, what hosts alone send. Raises FieldError."""
    quantities = given.get(_KEY)
    if quantities is None:
        return
    if not isinstance(quantities, dict) or not all(isinstance(name, str) for name in quantities):
        raise FieldError(f"{QUANTITIES} is {quantities!r:.80}: expected a map with keys of text")
    record[QUANTITIES] = quantities
