"""What a record begins or ends: an alarm, a warning, a node that is gone. What has no record of its own is made here.

A node tells each change of a level by an event. Two ends have none: after a restart a node begins with all levels at
"ok" and tells no change to it, and a fault is named and never taken back. Both end with telemetry whose level is "ok".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver.knowledge import keys_of
from quaver.messages.quantities import QUANTITIES
from quaver.messages.record import one_line
from quaver.query.source import Reading
from quaver_wire.fields import LIMITED

GONE, GAP, KEY = "gone", "gap", "key"  # subjects; a feature, a sensor or a fault is called otherwise
_SETTLED = 10  # records of a boot, before which a level "ok" may only mean that nothing was judged yet
_UNITS = {"[g]": "g", "mm/s": "mm/s", "Cel": "°C"}


@dataclass(frozen=True)
class Begin:
    """A condition that has begun. what: as in a table's `what`. facts: JSON, for the message.

    facts: keys (of the knowledge, the gravest first), and where they are known value, limit, unit, text, count, gaps.
    order: of all that is said of a subject; a later one is greater.
    """

    what: str
    level: str  # alarm or warning
    node: str
    topic: str
    subject: str
    order: tuple[int, int]
    since_ms: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """What has ended: a subject of a node, or all whose name begins with it where `all_of`.

    to: the level that it has now. boot: only what began before that boot.
    """

    node: str
    subject: str
    order: tuple[int, int]
    at_ms: int
    to: str = "ok"
    all_of: bool = False
    boot: int | None = None


def changes(reading: Reading) -> Iterator[Begin | End]:
    """What a record begins and ends, of its machine, its sensors and the node itself."""
    if reading.kind == "event":
        yield from _of_event(reading)
    elif reading.kind == "telemetry":
        yield from _of_telemetry(reading)
    order = (reading.received_ms, reading.place.row)
    if reading.kind == "status" and reading.values.get("state") == "offline":
        facts = {"keys": ["node_offline"]}
        # A last will was written when the node connected: only its receipt tells when it went.
        yield Begin(GONE, "warning", reading.node, reading.topic, GONE, order, reading.received_ms, facts)
    else:
        yield End(reading.node, GONE, order, reading.received_ms)


def silent(node: str, topic: str, heard_ms: int, row: int, intervals: int) -> Begin:
    """A node that has missed so many intervals since it was heard."""
    facts = {"keys": ["node_silent"], "count": intervals}
    return Begin(GONE, "warning", node, topic, GONE, (heard_ms, row), heard_ms, facts)


def missing(node: str, topic: str, count: int, gaps: list[str], now_ms: int) -> Begin:
    """Records that the ledger misses without an explanation. count: of all of the node."""
    facts = {"keys": ["records_missing"], "count": count, "gaps": gaps}
    return Begin("gaps", "warning", node, topic, GAP, (now_ms, count), now_ms, facts)


def refused(node: str, topic: str, reason: str, count: int, first_ms: int, last_ms: int, detail: str) -> Begin:
    """Messages that ingest refused. count: since it was told last."""
    facts = {"keys": ["messages_refused"], "count": count, "text": one_line(f"{reason}: {detail}")}
    return Begin("security", "warning", node, topic, f"refused {reason}", (last_ms, 0), first_ms, facts)


def expiring(node: str, topic: str, day: str, since_ms: int) -> Begin:
    """A key that expires on that day, or has."""
    facts = {"keys": ["key_expires"], "text": day}
    return Begin("keys", "warning", node, topic, KEY, (since_ms, 0), since_ms, facts)


def _when(reading: Reading) -> int:
    return reading.received_ms if reading.time_ms is None else reading.time_ms


def _of_event(reading: Reading) -> Iterator[Begin | End]:
    values = reading.values
    code, subject = values.get("code"), one_line(values.get("subject", ""))
    order, when = (reading.place.boot, reading.place.seq), _when(reading)

    def begin(level: str, name: str, keys: list[str]) -> Begin:
        facts: dict[str, Any] = {"keys": keys, "subject": subject}
        facts |= {key: one_line(values[key]) for key in ("text", "abstained") if values.get(key)}
        if code == "level":
            facts |= {key: values[key] for key in ("value", "limit") if isinstance(values.get(key), (int, float))}
            quantity = QUANTITIES.get(LIMITED.get(subject, ""))
            facts["unit"] = _UNITS.get(quantity.ucum, "") if quantity else ""
        what = "alarms" if level == "alarm" else "warnings"
        return Begin(what, level, reading.node, reading.topic, name, order, when, facts)

    if code == "level":
        level, name = values.get("event_level"), f"level {subject}"
        if level in ("alarm", "warning"):
            # of a zone the boundaries of the standard: C begins at the warning, D at the alarm
            zone = {"alarm": "D", "warning": "C"}[level] if subject == "zone" else None
            keys = keys_of(zone=zone, causes=[subject], abstained=values.get("abstained"))
            yield End(reading.node, name, order, when, level)
            yield begin(level, name, keys)
        elif level == "ok":
            yield End(reading.node, name, order, when)
    elif code == "fault":
        yield begin("alarm" if values.get("event_level") == "alarm" else "warning", "fault", keys_of(fault=subject))
    elif code == "sensor_failed":
        mark = "stuck" if "stuck" in str(values.get("text", "")) else f"{subject}_failed"
        yield begin("warning", f"sensor {subject}", keys_of(quality=[mark]))
    elif code == "sensor_recovered":
        yield End(reading.node, f"sensor {subject}", order, when)


def _of_telemetry(reading: Reading) -> Iterator[End]:
    values = reading.values
    if values.get("level", "ok") != "ok" or values.get("machine", "watching") != "watching" or values.get("quality"):
        return  # a machine that stands, and a sensor that fails, are not judged: what was told holds
    order = (reading.place.boot, reading.place.seq)
    yield End(reading.node, "fault", order, _when(reading))
    if reading.place.seq >= _SETTLED:
        yield End(reading.node, "level ", order, _when(reading), all_of=True, boot=reading.place.boot)
