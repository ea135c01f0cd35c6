"""What a node told: its events in sentences, its limits, and its diagnosis with what speaks for it and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaver.knowledge import entries, keys_of, keys_told
from quaver.knowledge.sentences import event_sentence, evidence
from quaver.messages.record import one_line
from quaver.query.nodes import NodeRow
from quaver.query.rollups import Rollups
from quaver.query.source import Place, Reading, Source
from quaver.store.rows import Node
from quaver_wire.fields import LIMITED

_BEHIND = 2000  # records that the roll-ups may be behind; further, the store itself is looked through
_AT_ONCE = 100  # records that one statement asks for by their number


@dataclass(frozen=True)
class Event:
    """subject: a feature, a sensor, a fault. level: ok, warning, alarm, or None where it is of none."""

    boot: int
    seq: int
    time_ms: int | None
    dated_by: str
    code: str
    level: str | None
    subject: str
    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """Of a quantity, as the node's newest events tell them; None where none did. source: which record told."""

    warning: float | None
    alarm: float | None
    source: str


@dataclass(frozen=True)
class Counsel:
    """What a verdict means and what to do about it; check: in the order in which to look."""

    key: str
    title: str
    means: str
    check: list[str]
    act: str
    urgency: str
    source: str


@dataclass(frozen=True)
class Diagnosis:
    """verdict: the gravest entry's title, or what the node's level is. sure: whether a fault is named.

    evidence: sentences. advice: the gravest first. records: the (boot, seq) that it rests on.
    """

    verdict: str
    level: str
    sure: bool
    evidence: list[str]
    advice: list[Counsel]
    records: list[tuple[int, int]]


def readings(source: Source, rollups: Rollups | None, node: Node, kind: str, limit: int) -> Iterator[Reading]:
    """The records of a kind, the newest first, and as many as `limit`."""
    row = rollups.row() if rollups else 0
    if rollups is None or source.end().row - row > _BEHIND:
        yield from source.newest_of(node.number, kind, limit)
        return
    newer = [(one.place.boot, one.place.seq) for one in source.after(Place(row), _BEHIND)
             if one.place.node == node.number and one.kind == kind]  # fmt: skip
    places = sorted({*rollups.rare(node.number, kind), *newer}, reverse=True)[:limit]
    for begin in range(0, len(places), _AT_ONCE):
        yield from source.at(node.number, places[begin : begin + _AT_ONCE])


def event(reading: Reading, language: str = "en") -> Event:
    values = dict(reading.values)
    level = values.get("event_level") if values.get("code") in ("level", "fault") else None
    return Event(
        boot=reading.place.boot,
        seq=reading.place.seq,
        time_ms=reading.time_ms,
        dated_by=reading.dated_by,
        code=one_line(values.get("code", "")),
        level=level if level in ("ok", "warning", "alarm") else None,
        subject=one_line(values.get("subject", "")),
        text=one_line(event_sentence(values, language)),
        values=values,
    )


def limits(events: Sequence[Event]) -> dict[str, Limit]:
    """By quantity, from events, the newest first."""
    found: dict[str, dict[str, Event]] = {}
    for one in events:
        quantity = LIMITED.get(one.subject)
        if one.code == "level" and quantity and one.level in ("warning", "alarm") and "limit" in one.values:
            found.setdefault(quantity, {}).setdefault(one.level, one)
    return {
        quantity: Limit(
            warning=float(its["warning"].values["limit"]) if "warning" in its else None,
            alarm=float(its["alarm"].values["limit"]) if "alarm" in its else None,
            source=", ".join(f"event of boot {one.boot}, seq {one.seq}" for one in its.values()),
        )
        for quantity, its in found.items()
    }


def diagnosis(row: NodeRow, telemetry: Reading | None, events: Sequence[Event], language: str) -> Diagnosis:
    """From the newest telemetry and the events that still hold, the newest first. Nothing is diagnosed here."""
    values: Mapping[str, Any] = telemetry.values if telemetry else {}
    standing = _standing(events) if row.level != "ok" else []
    fault = values.get("fault")
    keys = keys_told("telemetry", values)
    for one in standing:
        keys += keys_told("event", one.values)
    if row.level in ("warning", "alarm"):
        zone = values.get("zone")
        causes = [one.subject for one in standing if one.code == "level"]
        keys += keys_of(fault=fault, causes=causes, zone=zone, quality=values.get("quality", ()),
                        machine=values.get("machine"), abstained=values.get("abstained"))  # fmt: skip
    elif values.get("quality") or values.get("machine") in ("stopped", "learning"):
        keys += keys_of(quality=values.get("quality", ()), machine=values.get("machine"))
    if row.state in ("offline", "gone"):
        keys.insert(0, "node_offline" if row.state == "offline" else "node_silent")
    known = entries(language)
    found = [known[key] for key in dict.fromkeys(keys) if key in known]
    sentences = [one_line(sentence) for one in standing for sentence in [event_sentence(one.values, language)]]
    if telemetry is not None:
        sentences += [one_line(words) for words in evidence(values, language)]
    records = [(one.boot, one.seq) for one in standing]
    if telemetry is not None:
        records.append((telemetry.place.boot, telemetry.place.seq))
    return Diagnosis(
        verdict=found[0].title if found else row.level,
        level=row.level,
        sure=bool(fault),
        evidence=list(dict.fromkeys(sentences)),
        advice=[
            Counsel(one.key, one.title, one.means, list(one.check), one.act, one.urgency, one.source)
            for one in sorted(found, key=lambda one: one.key != "zone_d")  # what is to be stopped now comes first
        ],
        records=records,
    )


def _standing(events: Sequence[Event]) -> list[Event]:
    """Of each subject the last event, where it is no end; a fault, of the last boot that has one."""
    found: dict[str, Event] = {}
    for one in events:
        if one.code in ("level", "fault", "sensor_failed", "sensor_recovered"):
            name = {"level": f"level {one.subject}", "fault": "fault"}.get(one.code, f"sensor {one.subject}")
            found.setdefault(name, one)
    newest = max((one.boot for one in found.values()), default=0)
    return [
        one for one in found.values()
        if one.boot == newest and one.code != "sensor_recovered" and (one.code != "level" or one.level != "ok")
    ]  # fmt: skip
