"""One message as a record: decoded, with its fields by name and readable values."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quaver.messages.decoding import decode as decoded
from quaver_wire import decoder as wire
from quaver_wire.cose import START as SEALED
from quaver_wire.fields import EVENTS, FAULTS, LEVELS, LINES, MESSAGE_CLASSES, QUALITY, TABLES, WireError
from quaver_wire.names import ENERGY, LINE, MACHINE, PHASES, ROLES, SIDEBANDS, STATES, ZONES, rows
from quaver_wire.reasons import words

if TYPE_CHECKING:
    from quaver.messages.sealing import Opener

_LEVELS = ("site", "area", "line", "asset", "node")
_CLASSES = MESSAGE_CLASSES[:3]  # what a node sends by itself; commands and answers are between it and who commands it
# The fields whose number has a name.
CODES: Mapping[str, tuple[str, ...]] = {
    "level": LEVELS,
    "event_level": LEVELS,
    "state": STATES,
    "role": ROLES,
    "code": EVENTS,
    "zone": ZONES,
    "machine": MACHINE,
    "fault": FAULTS,
    "evidence_line": LINES,
}
_NAMED = {"energy": ENERGY, "phases": PHASES, "sidebands": SIDEBANDS}  # arrays whose places have names
# Those of single precision; all others are whole numbers of a unit, and as short as they can be.
_SINGLES = [name for table in TABLES for _, name, form in rows(table) if form == "f"]
QUANTITIES_MAX = 12  # of a record that have no field; protocols/README.md, key 99
QUANTITY = re.compile(r"[a-z][a-z0-9_]{0,23}", re.ASCII)
UNIT = re.compile(r"[!-~]{1,12}")
BINARY32_MAX = 3.4028234e38
_LINE_MAX = 160  # characters of a broken message's own text in a line


class MessageError(ValueError):
    """A message that is not a record. `kind` is what it is counted under: topic, cbor, version, field."""

    def __init__(self, kind: str, line: str) -> None:
        super().__init__(line)
        self.kind = kind


@dataclass(frozen=True)
class Record:
    """One decoded message: where it came from and its fields by name, in units that the names tell.

    values: the names of `quaver_wire.fields` with readable values: "level" and "event_level" one of ok,
    warning, alarm; "code" the event's name; "state" online, offline or via gateway; "role" node or gateway; "quality" a
    list of names; "text" the words for "reason", where that is there; "peaks" a list of [Hz, g]; "energy", "phases" and
    "sidebands" a dict; "quantities" a dict of dicts, each with "value" and "unit" (UCUM); bytes in hexadecimal. An
    absent value is an absent name. kind: the message class, or "spectrum". received: seconds since the epoch.
    """

    topic: str
    kind: str
    values: Mapping[str, Any]
    received: float

    @property
    def node(self) -> str:
        """The node's topic prefix: "site/area/line/asset/node"."""
        return self.topic.rpartition("/")[0]

    def as_json(self) -> dict[str, Any]:
        """The record as one flat object; "time" is when it was received, UTC, ISO 8601."""
        moment = datetime.fromtimestamp(self.received, UTC).isoformat(timespec="milliseconds")
        parts = self.topic.split("/")
        prefix = dict(zip(_LEVELS, parts, strict=False))
        return {"time": moment, "topic": self.topic, "kind": self.kind, **prefix, **self.values}


def decode(topic: str, payload: bytes, received: float | None = None, opener: Opener | None = None) -> Record:
    """Decode one message by protocols/README.md; keys that this version doesn't know are passed over.

    opener: takes sealed messages, and no others. Raises MessageError.
    """
    parts = topic.split("/")
    if len(parts) != 6 or not all(parts) or parts[5] not in _CLASSES:
        raise MessageError("topic", f"not a node's topic: expected site/area/line/asset/node/{{{','.join(_CLASSES)}}}")
    stamp = time.time() if received is None else received
    if opener is not None:
        values = readable(_opened(opener, parts[5], payload))
        return Record(topic, kind_of(parts[5], values), values, stamp)
    values = _decoded(parts[5], payload)
    values.pop("kind", None)
    if values.get("node") != parts[4]:
        raise MessageError(
            "node", f"names node {_shown(values.get('node'))}: expected {_shown(parts[4])} as in its topic"
        )
    del values["node"]
    return Record(topic, kind_of(parts[5], values), readable(values), stamp)


def kind_of(message_class: str, values: Mapping[str, Any]) -> str:
    """What a message is: its class, or "spectrum" for the telemetry that is no measurement but the spectra of one."""
    return "spectrum" if "spectrum" in values else message_class


def _opened(opener: Opener, message_class: str, payload: bytes) -> dict[str, Any]:
    from quaver.messages.sealing import SealError

    try:
        opened = opener.open(message_class, payload)
    except SealError as error:
        raise MessageError(error.kind, str(error)) from error
    values = dict(opened.record)
    values.pop("kind", None)
    return {**values, "boot": opened.boot, "seq": opened.seq}


def _decoded(message_class: str, payload: bytes) -> dict[str, Any]:
    if not payload:
        raise MessageError("cbor", "empty payload: expected a CBOR map")
    if payload.startswith(SEALED):
        raise MessageError("sealed", "sealed: quaver ingest opens it with its node's key")
    try:
        return decoded(payload, message_class)
    except wire.VersionError as error:
        raise MessageError("version", f"{error}; update the older one") from error
    except wire.FieldError as error:
        raise MessageError("field", one_line(error)) from error
    except WireError as error:
        raise MessageError("cbor", f"broken CBOR ({len(payload)} bytes): {error}") from error


def _short(value: float) -> float:
    """A binary32's value as its shortest decimal: 0.1, not 0.10000000149011612."""
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= BINARY32_MAX and struct.unpack("f", struct.pack("f", short))[0] == value:
            return short
    return float(f"{value:.9g}")


def readable(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message as a `Record` has them, in the same dict. Raises MessageError."""
    if bytes in map(type, values.values()):
        for name, value in values.items():
            if type(value) is bytes:
                values[name] = value.hex()
    for name in _SINGLES:
        if isinstance(values.get(name), float):
            values[name] = _short(values[name])
    for name, names in CODES.items():
        if name in values:
            code = values[name]
            # A later node may send a code that this host has no name for: its number still says something.
            values[name] = names[code] if 0 <= code < len(names) and names[code] else str(code)
    if "quality" in values:
        bits = values["quality"]
        values["quality"] = [name for bit, name in enumerate(QUALITY) if bits >> bit & 1] if bits else []
        if bits >> len(QUALITY):
            values["quality"].append(f"bits {bits >> len(QUALITY) << len(QUALITY):#x}")
    if values.get("reason"):
        values.setdefault("text", words(values["reason"]))
    if "peaks" in values:
        values["peaks"] = _rows("peaks", values["peaks"], 2)
    if "lines" in values:
        if len(values["lines"]) != len(LINES) * len(LINE):
            raise MessageError("field", f"lines has {len(values['lines'])} numbers: expected {len(LINES) * len(LINE)}")
        rows = _rows("lines", values["lines"], len(LINE))
        values["lines"] = {line: dict(zip(LINE, row, strict=True)) for line, row in zip(LINES, rows, strict=True)}
    for group, names in _NAMED.items():
        if group in values:
            flat = values[group]
            if len(flat) != len(names):
                raise MessageError("field", f"{group} has {len(flat)} numbers: expected {len(names)}")
            found = dict(zip(names, flat, strict=True))
            values[group] = {name: v for name, v in found.items() if v is not None} if None in flat else found
    if "quantities" in values:
        values["quantities"] = _quantities(values["quantities"])
    return values


def _quantities(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if len(given) > QUANTITIES_MAX:
        raise MessageError("field", f"quantities has {len(given)} entries: expected {QUANTITIES_MAX} at most")
    found = {}
    for name, pair in given.items():
        match pair:
            case [float(value), str(unit)] if QUANTITY.fullmatch(name) and UNIT.fullmatch(unit) and value - value == 0:
                found[name] = {"value": _short(value), "unit": unit}
            case _:
                raise MessageError("field", f"quantities has {_shown({name: pair})}: expected name: [value, unit]")
    return found


def _rows(name: str, flat: list[Any], width: int) -> list[list[Any]]:
    if len(flat) % width:
        raise MessageError("field", f"{name} has {len(flat)} numbers: expected a multiple of {width}")
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def _shown(value: object) -> str:
    return one_line(repr(value))


def one_line(value: object) -> str:
    """Foreign text made safe for one line of a terminal: printable, and not long."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= _LINE_MAX else text[: _LINE_MAX - 1] + "…"
