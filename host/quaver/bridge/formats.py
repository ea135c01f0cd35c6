"""A reading as a message: JSON, held against the schema of the module, and SenML (RFC 8428) in JSON and CBOR."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from quaver.messages.quantities import OWN, PLAIN_NUMBERS, QUANTITIES, Quantity, numbers
from quaver.messages.record import CODES, QUANTITIES_MAX, QUANTITY, UNIT
from quaver.query.source import Reading
from quaver_wire.fields import QUALITY
from quaver_wire.spectrum import BINS, amplitude_g

KINDS = ("telemetry", "spectrum", "event", "status", "answer")
# SenML labels in CBOR: RFC 8428, section 6, table 4.
_LABELS = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "vs": 3, "t": 6, "vd": 8}


def moment(time_ms: int) -> str:
    """Milliseconds since 1970 as UTC, ISO 8601."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def as_json(reading: Reading) -> bytes:
    """By `schema(reading.kind)`."""
    site, area, line, asset, node = reading.topic.split("/")
    values = dict(reading.values)
    if reading.kind == "spectrum":
        values |= {name: _amplitudes(values[name]) for name in ("spectrum", "envelope_spectrum") if name in values}
    message = {
        "kind": reading.kind,
        "id": reading.node,
        "site": site,
        "area": area,
        "line": line,
        "asset": asset,
        "node": node,
        "boot": reading.place.boot,
        "seq": reading.place.seq,
        "time": None if reading.time_ms is None else moment(reading.time_ms),
        "dated_by": reading.dated_by,
        "historical": reading.historical,
        "values": values,
    }
    return orjson.dumps(message)


def _amplitudes(levels: str) -> list[float]:
    return [float(f"{amplitude_g(level):.4g}") for level in bytes.fromhex(levels)]


def as_senml(reading: Reading) -> list[dict[str, Any]]:
    """The pack of a reading's single values. Its base name is the node's id; a spectrum's levels are data values."""
    base: dict[str, Any] = {"bn": f"{reading.node}/{reading.kind}/"}
    if reading.time_ms is not None:
        base["bt"] = reading.time_ms / 1000
    known = {name: value for name, value in reading.values.items() if name != "quantities"}
    records = [_record(name, value, QUANTITIES.get(name)) for name, value in _flat(known)]
    if len(known) != len(reading.values):
        records += [_record(name, value, own) for name, own, value in numbers(reading.values) if name.startswith(OWN)]
    return [base | records[0], *records[1:]] if records else []


def _flat(values: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    """Each single value with its name, inner names behind a dot."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{inside}{name}.")
        elif isinstance(value, list):
            yield from _flat({str(place): item for place, item in enumerate(value)}, f"{inside}{name}.")
        elif value is not None:
            yield inside + name, value


def _record(name: str, value: Any, quantity: Quantity | None) -> dict[str, Any]:
    if isinstance(value, str):
        if name in ("spectrum", "envelope_spectrum"):
            return {"n": name, "vd": base64.urlsafe_b64encode(bytes.fromhex(value)).decode().rstrip("=")}
        return {"n": name, "vs": value}
    if quantity is None or not quantity.senml:
        return {"n": name, "v": value}
    return {"n": name, "u": quantity.senml, "v": float(f"{value * quantity.factor:.9g}")}


def senml_json(reading: Reading) -> bytes:
    """SenML in JSON: application/senml+json."""
    return json.dumps(as_senml(reading), ensure_ascii=False, separators=(",", ":")).encode()


def senml_cbor(reading: Reading) -> bytes:
    """SenML in CBOR: application/senml+cbor (RFC 8428, section 6)."""
    import cbor2

    def labelled(record: Mapping[str, Any]) -> dict[int, Any]:
        data = record.get("vd")
        packed = {_LABELS[name]: value for name, value in record.items()}
        if data is not None:
            packed[_LABELS["vd"]] = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
        return packed

    return cbor2.dumps([labelled(record) for record in as_senml(reading)])


FORMATS: Mapping[str, tuple[str, Callable[[Reading], bytes]]] = {  # name -> what its topic ends with, and the message
    "json": ("", as_json),
    "senml": ("/senml", senml_json),
    "senml-cbor": ("/senml-cbor", senml_cbor),
}


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind's messages; "unit" is a code of UCUM, as an annotation."""
    text = {"type": "string"}
    head = {
        "kind": {"const": kind},
        "id": text | {"description": "the node's chip id, hexadecimal"},
        **dict.fromkeys(("site", "area", "line", "asset", "node"), text),
        "boot": {"type": "integer", "minimum": 0},
        "seq": {"type": "integer", "minimum": 0, "description": "with id and boot it is this record's alone"},
        "time": {"type": ["string", "null"], "format": "date-time", "description": "UTC; null where nothing dates it"},
        "dated_by": {"enum": ["node", "offset", "receipt"]},
        "historical": {"type": "boolean", "description": "measured over a minute before it was handed on"},
        "values": _values_schema(kind),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:quaver:open:{kind}:1",
        "title": f"A node's {kind}",
        "type": "object",
        "properties": head,
        "required": list(head),
        "additionalProperties": False,
    }


def _values_schema(kind: str) -> dict[str, Any]:
    text = {"type": "string"}
    many = {"type": "array", "items": {"type": ["number", "null"]}}
    # A later firmware may have words that this version does not know: their number stands there.
    number = {"type": "string", "pattern": "^[0-9]+$"}
    properties: dict[str, Any] = {
        name: {"anyOf": [{"enum": list(filter(None, words))}, number]} for name, words in CODES.items()
    }
    properties |= {name: {"type": "number", "description": title} for name, title in PLAIN_NUMBERS.items()}
    inner: dict[str, dict[str, Any]] = {}
    for name, quantity in QUANTITIES.items():
        group, _, last = name.rpartition(".")
        (inner.setdefault(group, {}) if group else properties)[last] = _number(quantity)
    properties |= {group: {"type": "object", "properties": found} for group, found in inner.items()}
    own = {"value": {"type": "number"}, "unit": text | {"pattern": f"^{UNIT.pattern}$", "description": "by UCUM"}}
    properties["quantities"] = {
        "type": "object",
        "description": "what the machine says beside, by name",
        "maxProperties": QUANTITIES_MAX,
        "propertyNames": {"pattern": f"^{QUANTITY.pattern}$"},
        "additionalProperties": {"type": "object", "properties": own, "required": list(own)},
    }
    properties["quality"] = {"type": "array", "items": {"type": "string"}, "examples": [list(QUALITY)]}
    if kind == "spectrum":
        levels = {**many, "minItems": BINS, "maxItems": BINS, "unit": "[g]"}
        properties |= {"spectrum": levels, "envelope_spectrum": levels}
    return {"type": "object", "properties": properties}


def _number(quantity: Quantity) -> dict[str, Any]:
    return {"type": "number", "unit": quantity.ucum, "description": quantity.title}
