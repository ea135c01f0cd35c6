"""The payload of Sparkplug B: metrics as protobuf. Sparkplug Specification 3.0, chapter 6.

The messages are made from a table of the fields that the specification's schema numbers; what we never send (templates,
data sets, metadata) is not in it, and is passed over in what comes.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

# Data types of metrics and properties: section 6.4.16.
INT32, INT64, DOUBLE, BOOLEAN, STRING = 3, 4, 10, 11, 12
_UNIT = "engUnit"  # the property by which hosts know a metric's unit

_PACKAGE = "quaver.sparkplug"
# message -> (field, number, kind): a kind in capitals is another message, "*" behind it: repeated. A name that begins
# with "=" is one of the values of which a message has one alone.
_FIELDS = {
    "PropertyValue": (("type", 1, "uint32"), ("is_null", 2, "bool"), ("=string_value", 8, "string")),
    "PropertySet": (("keys", 1, "string*"), ("values", 2, "PropertyValue*")),
    "Metric": (
        ("name", 1, "string"),
        ("alias", 2, "uint64"),
        ("timestamp", 3, "uint64"),
        ("datatype", 4, "uint32"),
        ("is_historical", 5, "bool"),
        ("is_transient", 6, "bool"),
        ("is_null", 7, "bool"),
        ("properties", 9, "PropertySet"),
        ("=int_value", 10, "uint32"),
        ("=long_value", 11, "uint64"),
        ("=float_value", 12, "float"),
        ("=double_value", 13, "double"),
        ("=boolean_value", 14, "bool"),
        ("=string_value", 15, "string"),
        ("=bytes_value", 16, "bytes"),
    ),
    "Payload": (("timestamp", 1, "uint64"), ("metrics", 2, "Metric*"), ("seq", 3, "uint64")),
}
_VALUES = {INT32: "int_value", INT64: "long_value", DOUBLE: "double_value", BOOLEAN: "boolean_value"}
_BITS = {INT32: 32, INT64: 64}  # a negative number is sent as its two's complement


class Metric(NamedTuple):
    """datatype: of this module. value: None where there is none. time_ms: when it was measured, since 1970, UTC.

    unit: in UCUM, "" where it has none.
    """

    name: str
    datatype: int
    value: float | bool | str | None
    time_ms: int
    unit: str = ""
    historical: bool = False


def encode(metrics: Iterable[Metric], time_ms: int | None = None, seq: int | None = None, units: bool = False) -> bytes:
    """units: with each metric's unit, as a birth has them."""
    payload = PAYLOAD()
    if time_ms is not None:
        payload.timestamp = time_ms
    if seq is not None:
        payload.seq = seq
    add = payload.metrics.add
    for metric in metrics:
        # A message of data need not repeat the data type; it does, since Eclipse Tahu's JavaScript codec takes a value
        # without one for null.
        value: dict[str, Any] = {_VALUES.get(metric.datatype, "string_value"): metric.value}
        if metric.value is None:
            value = {"is_null": True}
        elif metric.datatype in _BITS:
            value = {_VALUES[metric.datatype]: int(metric.value) & (1 << _BITS[metric.datatype]) - 1}
        one = add(name=metric.name, timestamp=metric.time_ms, datatype=metric.datatype, **value)
        if metric.historical:
            one.is_historical = True
        if units and metric.unit:
            one.properties.keys.append(_UNIT)
            one.properties.values.add(type=STRING, string_value=metric.unit)
    return bytes(payload.SerializeToString())


def encode_numbers(numbers: Mapping[str, float], time_ms: int, historical: bool = False) -> bytes:
    """Doubles of one moment, by name, with . for /: what `encode` makes of them, at a tenth of its time.

    protobuf makes the bytes of each name once, and those of the moment once; the values stand behind them.
    """
    moment = _METRIC(timestamp=time_ms, datatype=DOUBLE, is_historical=historical or None, double_value=0.0)
    middle: bytes = moment.SerializeToString()[: -_DOUBLE.size]
    layout, heads = _layout(tuple(numbers), len(middle))
    parts: list[Any] = [middle] * (3 * len(numbers))
    parts[::3] = heads
    parts[2::3] = numbers.values()
    return layout.pack(*parts)


@lru_cache(1000)
def _layout(names: tuple[str, ...], middle: int) -> tuple[struct.Struct, tuple[bytes, ...]]:
    """Of metrics with these names, and so many bytes of a moment: their layout, and what begins each."""
    heads = tuple(_head(name, middle + _DOUBLE.size) for name in names)
    return struct.Struct("<" + "".join(f"{len(head)}s{middle}sd" for head in heads)), heads


@cache
def _head(name: str, behind: int) -> bytes:
    """What stands before a metric's moment; behind: bytes of it that follow."""
    named: bytes = _METRIC(name=name.replace(".", "/")).SerializeToString()
    assert len(named) + behind < 1 << 7  # a length of one byte; names are ours, and short
    return bytes((_METRICS, len(named) + behind)) + named


def join(parts: Sequence[bytes], time_ms: int, seq: int) -> bytes:
    """A payload of encoded metrics, in that order."""
    return b"".join((encode((), time_ms), *parts, encode((), seq=seq)))


def now_ms() -> int:
    """Milliseconds since 1970, UTC: every time of Sparkplug."""
    return time.time_ns() // 1_000_000


def commands(data: bytes) -> dict[str, bool]:
    """The boolean metrics of a command that came, by name; empty for what is no payload."""
    payload = PAYLOAD()
    try:
        payload.ParseFromString(data)
    except DecodeError:
        return {}
    return {one.name: one.boolean_value for one in payload.metrics if one.HasField("boolean_value")}


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="quaver/sparkplug.proto", package=_PACKAGE, syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in _FIELDS.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = made.field.add(name=name.lstrip("="), number=number)
            field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in _FIELDS:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
            if name.startswith("="):
                if not made.oneof_decl:
                    made.oneof_decl.add(name="value")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


PAYLOAD: type[Message] | Any = _payload_class()
_METRIC: type[Message] | Any = type(PAYLOAD().metrics.add())
_METRICS = 2 << 3 | 2  # the tag of a payload's metrics: field 2, with a length
_DOUBLE = struct.Struct("<d")
