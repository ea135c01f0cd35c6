"""Deletes from a store what is older than a policy keeps, writes down what that was, and keeps features by the hour.

A record's age counts from its measurement or its receipt, whichever is later: what waited long in a node's journal is
kept as long as all else. Hours go whole. Events, statuses and other answers stay. So does the newest record: rows
numbered behind it never get a number that another had.

Each batch is one transaction: features become part of their hours' minimum, mean and maximum, what goes is written
down, and it goes. Killed in between, the next run goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaver.messages.quantities import numbers
from quaver.messages.record import MessageError, readable
from quaver.store.removed import SINCE, put_removed, runs_of
from quaver.store.schema import DATED, HAS_SPECTRUM
from quaver.store.store import Store

KINDS = ("raw", "spectra", "features", "hourly")
HOUR_MS = 3_600_000
_DAY_MS = 24 * HOUR_MS
_BATCH = 2000  # rows that are looked at in a transaction: ingest waits for tens of milliseconds

_DUE = f"""
SELECT * FROM (
    SELECT r.rowid AS place, r.node AS its_number,
        CASE WHEN r.class = 'answer' THEN 'raw' WHEN {HAS_SPECTRUM} THEN 'spectra' ELSE 'features' END AS kind, {DATED}
    WHERE r.rowid > ? AND r.rowid <= ? AND (r.class = 'telemetry' OR r.class = 'answer'
        AND instr(r.body, '"data":"') > 0)
) q WHERE received_ms < ? AND time_ms < ? ORDER BY place
"""  # noqa: S608  all of it is ours
_ROLL_UP = """
INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node, hour_ms, quantity) DO UPDATE SET
    low = CASE WHEN excluded.low < hourly.low THEN excluded.low ELSE hourly.low END,
    high = CASE WHEN excluded.high > hourly.high THEN excluded.high ELSE hourly.high END,
    mean = (hourly.mean * hourly.count + excluded.mean * excluded.count) / (hourly.count + excluded.count),
    count = hourly.count + excluded.count
"""
_NOTE = """
INSERT INTO removal VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (begun_ms, kind, node) DO UPDATE SET
    count = removal.count + excluded.count,
    first_ms = CASE WHEN excluded.first_ms < removal.first_ms THEN excluded.first_ms ELSE removal.first_ms END,
    last_ms = CASE WHEN excluded.last_ms > removal.last_ms THEN excluded.last_ms ELSE removal.last_ms END
"""


@dataclass
class Removal:
    """What goes, or went, of a kind and node. bytes: of the records' fields, as they are in the store."""

    kind: str
    node: str
    count: int = 0
    bytes: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, at_ms: int, size: int) -> None:
        self.first_ms = min(self.first_ms, at_ms) if self.count else at_ms
        self.last_ms = max(self.last_ms, at_ms) if self.count else at_ms
        self.count += 1
        self.bytes += size


def retain(
    store: Store,
    days: Mapping[str, int],
    delete: bool,
    now_ms: int | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> list[Removal]:
    """What is older than `days`, {kind: days} of KINDS, of a store that may be written to where `delete` is true.

    Deleted only with `delete`; told hears how many rows it has looked at. Raises StoreError.
    """
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    before = {kind: (now_ms - count * _DAY_MS) // HOUR_MS * HOUR_MS for kind, count in days.items()}
    topics = {node.number: node.topic for node in store.nodes()}
    found: dict[tuple[str, int], Removal] = {}
    for rows in _batches(store, before, told):
        removals: dict[tuple[str, int], Removal] = {}
        for row in rows:
            for all_of in (removals, found):
                removal = all_of.setdefault((row.kind, row.node), Removal(row.kind, topics[row.node]))
                removal.add(row.time_ms, len(row.body))
        if delete:
            began = time.monotonic()
            _delete(store, rows, removals, days, now_ms)
            time.sleep(time.monotonic() - began)  # an ingest that waited for the lock has its turn
    _hours(store, days, before.get("hourly"), topics, found, delete, now_ms)
    return sorted(found.values(), key=lambda removal: (KINDS.index(removal.kind), removal.node))


@dataclass(frozen=True)
class _Due:
    place: int
    node: int
    boot: int
    seq: int
    kind: str
    time_ms: int
    body: str


def _batches(store: Store, before: Mapping[str, int], told: Callable[[int], None]) -> Iterator[list[_Due]]:
    """The records that are due, batch by batch in the order of their coming; the newest of all is not among them."""
    bounds = [bound for kind, bound in before.items() if kind != "hourly"]
    newest = store.query("SELECT max(rowid) FROM record")[0][0]
    if not bounds or not newest:
        return
    youngest, at = max(bounds), store.query("SELECT min(rowid) FROM record")[0][0] - 1
    while at < newest - 1:
        end = min(at + _BATCH, newest - 1)
        rows = []
        for row in store.query(_DUE, (at, end, youngest, youngest)):
            place, number, kind, _, _, boot, seq, _, time_ms, _, _, _, received_ms, _, body = row[:15]
            if kind in before and max(time_ms, received_ms) < before[kind]:
                rows.append(_Due(place, number, boot, seq, kind, time_ms, body))
        if rows:
            yield rows
        at = end
        told(end)


def _delete(
    store: Store,
    rows: Sequence[_Due],
    removals: Mapping[tuple[str, int], Removal],
    days: Mapping[str, int],
    now_ms: int,
) -> None:
    with store.transaction():
        for key, (count, low, total, high) in _rolled_up(rows).items():
            store.query(_ROLL_UP, (*key, count, low, total / count, high))
        put_removed(store, runs_of((row.node, row.boot, row.seq, row.kind) for row in rows))
        for (kind, node), removal in removals.items():
            values = (now_ms, kind, node, days[kind], removal.count, removal.first_ms, removal.last_ms)
            store.query(_NOTE, values)
        for row in rows:
            store.query("DELETE FROM record WHERE node = ? AND boot = ? AND seq = ?", (row.node, row.boot, row.seq))


def _rolled_up(rows: Sequence[_Due]) -> dict[tuple[int, int, str], tuple[int, float, float, float]]:
    """Of the features among `rows`: {(node, hour, quantity): (count, least, sum, most)}."""
    hours: dict[tuple[int, int, str], tuple[int, float, float, float]] = {}
    for row in rows:
        if row.kind != "features":
            continue
        for name, value in _numbers(row.body):
            key = row.node, row.time_ms // HOUR_MS * HOUR_MS, name
            count, low, total, high = hours.get(key, (0, value, 0.0, value))
            hours[key] = count + 1, min(low, value), total + value, max(high, value)
    return hours


def _numbers(body: str) -> Iterator[tuple[str, float]]:
    values: dict[str, Any] = json.loads(body)
    try:
        values = readable(values)
    except MessageError:
        return  # of a later version: it has nothing that this one can name
    for name, _, value in numbers(values):
        yield name, float(value)


def _hours(
    store: Store,
    days: Mapping[str, int],
    before_ms: int | None,
    topics: Mapping[int, str],
    found: dict[tuple[str, int], Removal],
    delete: bool,
    now_ms: int,
) -> None:
    if before_ms is None or store.version < SINCE:
        return
    sql = "SELECT node, count(*), min(hour_ms), max(hour_ms) FROM hourly WHERE hour_ms < ? GROUP BY node ORDER BY node"
    due = store.query(sql, (before_ms,))
    for node, count, first_ms, last_ms in due:
        found["hourly", node] = Removal("hourly", topics[node], count, 0, first_ms, last_ms)
    if delete and due:
        with store.transaction():
            store.query("DELETE FROM hourly WHERE hour_ms < ?", (before_ms,))
            for node, count, first_ms, last_ms in due:
                store.query(_NOTE, (now_ms, "hourly", node, days["hourly"], count, first_ms, last_ms))
