"""Makes a report of what a store holds: reads what its nodes measured, and hands it to the report's own code."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from quaver.errors import ReportError
from quaver.messages.quantities import QUANTITIES, numbers
from quaver.messages.record import MessageError, readable
from quaver.reports import availability, control, energy, life
from quaver.reports.life import Goal
from quaver.reports.model import Report, Sample, Series
from quaver.reports.spec import Spec
from quaver.store.removed import SINCE as REMOVED_SINCE
from quaver.store.rows import Node
from quaver.store.schema import HAS_SPECTRUM
from quaver.store.store import Store
from quaver_wire.fields import LEVELS, LIMITED

KINDS = ("energy", "availability", "control", "life")
OF_ONE = ("control", "life")  # of one node and one quantity
DEFAULT_QUANTITY = "velocity_mm_s"
MOST_MS = 400 * 86_400_000  # a report is of a year at most
_EDGE_MS = 6 * 3_600_000  # before and behind a report's time, where a counter's neighbours are looked for
_UNFIT = ("dropped", "clipped")

_TELEMETRY = f"""
SELECT boot, seq, time_ms, dated_by, body FROM dated d
WHERE node = ? AND class = 'telemetry' AND NOT ({HAS_SPECTRUM}) AND time_ms BETWEEN ? AND ? ORDER BY time_ms, boot, seq
"""  # noqa: S608  all of it is ours
_EVENTS = "SELECT boot, seq, body FROM dated WHERE node = ? AND class = 'event' AND time_ms < ? ORDER BY boot, seq"
_REMOVED = """
SELECT coalesce(sum(count), 0) FROM removal WHERE node = ? AND kind = 'features' AND first_ms < ? AND last_ms >= ?
"""


@dataclass(frozen=True)
class Question:
    """What is asked. nodes: names, ids or whole topic prefixes; prefix: the beginning of topics, by whole levels.

    quantity, limit: of control and life, and of life. Times in ms since 1970.
    """

    kind: str
    since_ms: int
    until_ms: int
    nodes: tuple[str, ...] = ()
    prefix: str = ""
    quantity: str = DEFAULT_QUANTITY
    limit: float | None = None


def report(store: Store, asked: Question, spec: Spec) -> Report:
    """The report. Raises ReportError for what can't be asked, and StoreError."""
    if asked.until_ms <= asked.since_ms:
        raise ReportError("the report's end lies before its begin; give a later --until, or an earlier --since")
    if asked.until_ms - asked.since_ms > MOST_MS:
        raise ReportError("a report is of 400 days at most; give a later --since")
    if asked.quantity not in QUANTITIES:
        raise ReportError(f"{asked.quantity[:40]}: is no quantity of records, such as velocity_mm_s")
    nodes = _nodes(store, asked)
    if asked.kind in OF_ONE:
        if len(nodes) != 1:
            raise ReportError(f"{asked.kind}: is a report of one node, and {len(nodes)} are meant; name one")
        series = read(store, nodes[0], (asked.quantity,), asked.since_ms, asked.until_ms)
        if not series.samples:
            raise ReportError(f"{series.name}: has no {asked.quantity} in this time; give another time or quantity")
        if asked.kind == "control":
            return control.control(series, asked.quantity, spec, asked.since_ms, asked.until_ms)
        goal = goal_of(store, nodes[0], asked, spec)
        return life.life(series, asked.quantity, goal, spec, asked.since_ms, asked.until_ms)
    if asked.kind == "energy":
        found = [
            read(store, node, energy.QUANTITIES, asked.since_ms - _EDGE_MS, asked.until_ms + _EDGE_MS) for node in nodes
        ]
        metered = [one for one in found if any(sample.values[0] is not None for sample in one.samples)]
        found = _met(metered, found, asked, "a meter")
        return energy.energy([_trimmed(one, asked) for one in found], spec, asked.since_ms, asked.until_ms)
    if asked.kind == "availability":
        found = [read(store, node, availability.QUANTITIES, asked.since_ms, asked.until_ms) for node in nodes]
        found = _met([one for one in found if any(s.machine for s in one.samples)], found, asked, "a running state")
        return availability.availability(found, spec, asked.since_ms, asked.until_ms)
    raise ReportError(f"{asked.kind[:40]}: is no report; expected {', '.join(KINDS)}")


def _met(some: list[Series], every: list[Series], asked: Question, what: str) -> list[Series]:
    """Of all nodes of a plant those that have it; of named ones all, and it is said of those that have it not."""
    if not some:
        raise ReportError(f"no node that is meant has records with {what} in this time; name others, or another time")
    return every if asked.nodes else some


def _nodes(store: Store, asked: Question) -> list[Node]:
    every = store.nodes()
    if asked.nodes:
        found = []
        for name in asked.nodes:
            same = [one for one in every if name in (one.topic, one.topic.rpartition("/")[2], one.id.hex())]
            if len(same) != 1:
                why = "has several nodes of that name; give the whole topic prefix" if same else "has no such node"
                raise ReportError(f"{name[:60]}: {store.name} {why}; quaver ledger lists them")
            found += same
        return found
    begin = asked.prefix.strip("/")
    found = [one for one in every if not begin or one.topic == begin or one.topic.startswith(f"{begin}/")]
    if not found:
        raise ReportError(f"{begin[:60] or store.name}: has no node; quaver ledger lists them")
    return found


def read(store: Store, node: Node, quantities: Sequence[str], since_ms: int, until_ms: int) -> Series:
    """The measurements of a node in that time."""
    rows = store.query(_TELEMETRY, (node.id.hex(), since_ms, until_ms - 1))
    samples = [found for row in rows if (found := _sample(row, quantities)) is not None]
    if quantities and quantities[0] in QUANTITIES and len(quantities) == 1:
        samples = [one for one in samples if one.values[0] is not None]
    steps = [b.time_ms - a.time_ms for a, b in itertools.pairwise(samples) if b.time_ms > a.time_ms]
    removed = 0
    if store.version >= REMOVED_SINCE:
        removed = store.query(_REMOVED, (node.number, until_ms, since_ms))[0][0]
    return Series(node.topic, samples, round(median(steps)) if steps else 0, int(removed))


def _sample(row: tuple[Any, ...], quantities: Sequence[str]) -> Sample | None:
    boot, seq, time_ms, dated_by, body = row
    try:
        values = readable(orjson.loads(body))
    except (MessageError, ValueError):
        return None  # of a later version: it has nothing that this one can name
    found = {name: float(value) for name, _, value in numbers(values)} if quantities else {}
    fit = not any(mark in values.get("quality", ()) for mark in _UNFIT)
    machine, level = str(values.get("machine", "")), str(values.get("level", LEVELS[0]))
    return Sample(time_ms, boot, seq, machine, level, fit, dated_by, tuple(found.get(name) for name in quantities))


def _trimmed(series: Series, asked: Question) -> Series:
    """Those in the report's time, and one before and one behind."""
    samples = series.samples
    first = next((i for i, one in enumerate(samples) if one.time_ms >= asked.since_ms), len(samples))
    behind = next((i for i, one in enumerate(samples) if one.time_ms >= asked.until_ms), len(samples))
    return Series(series.topic, samples[max(0, first - 1) : behind + 1], series.interval_ms, series.removed)


def goal_of(store: Store, node: Node, asked: Question, spec: Spec) -> Goal | None:
    """The limit of a report of life: the one that was asked for, of the file, of the zone, or of the last alarm."""
    if asked.limit is not None:
        return Goal(asked.limit, "option")
    given = spec.limits_of(node.topic, asked.quantity)
    if given is not None and given.upper is not None:
        return Goal(given.upper, "file")
    machine = spec.machine_of(node.topic)
    if asked.quantity == "velocity_mm_s" and machine is not None and machine.zone_d is not None:
        return Goal(machine.zone_d, "zone")
    subjects = [subject for subject, quantity in LIMITED.items() if quantity == asked.quantity]
    told = None
    for boot, seq, body in store.query(_EVENTS, (node.id.hex(), asked.until_ms)) if subjects else ():
        try:
            values = readable(orjson.loads(body))
        except (MessageError, ValueError):
            continue
        about = values.get("code") == "level" and values.get("event_level") == "alarm"
        if about and values.get("subject") in subjects and isinstance(values.get("limit"), (int, float)):
            told = Goal(float(values["limit"]), "event", (boot, seq))
    return told
