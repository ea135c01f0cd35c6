"""Reads a store as it grows: each record once, in the order of its coming, dated, with its fields by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from quaver.errors import StoreAway, StoreError
from quaver.messages.record import MessageError, kind_of, readable
from quaver.store.ledger import ASIDE
from quaver.store.location import Location, open_records
from quaver.store.removed import is_removed
from quaver.store.schema import DATED

HISTORICAL_MS = 60_000  # older than this when it is handed on, a record is one of a backlog

# Between `where` and the order the columns of the view `dated`, and what the bridge needs beside them.
_AFTER = f"""
SELECT r.rowid, r.node, {DATED}
WHERE r.rowid > ? ORDER BY r.rowid LIMIT ?
"""
_NEWEST = f"""
SELECT r.rowid, r.node, {DATED}
WHERE r.node = ? AND r.class = ? AND instr(r.body, '"spectrum":') = 0
ORDER BY r.boot DESC, CASE r.class WHEN 'status' THEN r.rowid ELSE r.seq END DESC LIMIT ?
"""
# The newest of a kind by their numbers, which an index has; a status, by the newest number of its boot.
_NEWEST_OF = f"""
SELECT r.rowid, r.node, {DATED}
WHERE r.node = ? AND r.class = ? AND (instr(r.body, '"spectrum":') > 0) = ? ORDER BY r.boot DESC, r.seq DESC LIMIT ?
"""
_STATUSES = f"""
SELECT r.rowid, r.node, {DATED}
WHERE r.node = ? AND r.boot = ? AND r.seq >= ? AND r.class = 'status' ORDER BY r.rowid DESC LIMIT 1
"""
_AT = f"""
SELECT r.rowid, r.node, {DATED}
WHERE r.node = ? AND (r.boot, r.seq) IN (VALUES {{places}}) ORDER BY r.boot DESC, r.seq DESC
"""
# Statuses follow each other as they came: a last will has its number from before the status that it ends.
_NEWER = """
SELECT 1 FROM record WHERE node = ? AND (boot, seq) > (?, ?) AND class = ?
    AND (instr(body, '"spectrum":') > 0) = ? LIMIT 1
"""
_NEWER_STATUS = """
SELECT 1 FROM record WHERE node = ? AND boot >= ? AND (boot, rowid) > (?, ?) AND class = 'status' LIMIT 1
"""


class Place(NamedTuple):
    """Where a reader is: behind the record of that row, which is the node's `boot`, `seq`. row 0: at the start."""

    row: int = 0
    node: int = 0
    boot: int = 0
    seq: int = 0


@dataclass(slots=True)  # a frozen one takes three times as long to make
class Reading:
    """One record; nobody changes it. values: as in quaver.messages.record.Record. time_ms: since 1970, or None.

    None: nothing dates it. node: its id in hexadecimal. topic: its topic prefix. kind: the message class, or
    "spectrum". historical: it was measured over a minute before it is handed on. latest: no later one of its node and
    kind is in the store.
    """

    place: Place
    node: str
    topic: str
    kind: str
    time_ms: int | None
    dated_by: str
    received_ms: int
    values: Mapping[str, Any]
    historical: bool
    latest: bool
    uptime_ms: int

    @property
    def name(self) -> str:
        return self.topic.rpartition("/")[2]


def at_once(line: str) -> None:
    """What a Source waits with whose caller has to do something else meanwhile. Raises StoreAway."""
    if line:
        raise StoreAway(line)


class Source:
    """A store that is only read; another program may write to it. Everything raises StoreError.

    wait: as in Store.
    """

    def __init__(self, location: Location, wait: Callable[[str], None] | None = None) -> None:
        self.store = open_records(location, write=False, wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    def find(self, place: Place) -> Place:
        """`place` in this store: rows get other numbers when a store is repaired or vacuumed, in the same order.

        A store from which a policy has deleted records must not be: a place behind a deleted one is found no more.
        """
        if place.row and not self.store.query(
            "SELECT 1 FROM record WHERE rowid = ? AND (node, boot, seq) = (?, ?, ?)", place
        ):
            sql = "SELECT rowid FROM record WHERE (node, boot, seq) = (?, ?, ?)"
            found = self.store.query(sql, place[1:])
            if not found and is_removed(self.store, *place[1:]):
                return place  # the rows behind it have the numbers that they had
            if not found:
                raise StoreError(
                    f"{self.store.name}: has no longer the record that was handed on last, so it is another store; "
                    "name another state file (of a lake: another folder), and this one is handed on from its beginning"
                )
            return place._replace(row=found[0][0])
        return place

    def end(self) -> Place:
        """Behind the last record that is there now."""
        found = self.store.query("SELECT rowid, node, boot, seq FROM record ORDER BY rowid DESC LIMIT 1")
        return Place(*found[0]) if found else Place()

    def waiting(self, place: Place) -> int:
        """How many records came after `place`."""
        return int(self.store.query("SELECT count(*) FROM record WHERE rowid > ?", (place.row,))[0][0])

    def newest(self, message_class: str, count: int = 1) -> list[Reading]:
        """The last records, `count` at most, of each node and that class, the oldest first, without spectra."""
        found = []
        for (number,) in self.store.query("SELECT number FROM node ORDER BY number"):
            rows = self.store.query(_NEWEST, (number, message_class, count))
            found += self._read(rows[::-1], _now_ms())
        return found

    def newest_of(self, number: int, kind: str, count: int = 1) -> list[Reading]:
        """The last records of a node and kind, the newest first."""
        message_class, spectra = ("telemetry", True) if kind == "spectrum" else (kind, False)
        return self._read(self.store.query(_NEWEST_OF, (number, message_class, spectra, count)), _now_ms())

    def newest_status(self, number: int) -> Reading | None:
        """The status of a node that came last of those of its newest boot."""
        found = self.newest_of(number, "status")
        if not found:
            return None
        place = found[0].place
        rows = self.store.query(_STATUSES, (number, place.boot, ASIDE if place.seq >= ASIDE else 0))
        return self._read(rows, _now_ms())[0]

    def at(self, number: int, places: Sequence[tuple[int, int]]) -> list[Reading]:
        """The records of a node with those numbers, (boot, seq) each, as far as they are there, the newest first."""
        if not places:
            return []
        sql = _AT.format(places=", ".join(["(?, ?)"] * len(places)))
        return self._read(self.store.query(sql, (number, *(one for place in places for one in place))), _now_ms())

    def after(self, place: Place, most: int, now_ms: int | None = None) -> list[Reading]:
        """The records behind `place`, at most `most`."""
        return self._read(self.store.query(_AFTER, (place.row, most)), _now_ms() if now_ms is None else now_ms)

    def _read(self, rows: Sequence[tuple[Any, ...]], now_ms: int) -> list[Reading]:
        newest: dict[tuple[int, str], tuple[int, int]] = {}
        decoded = []
        for row in rows:
            body = orjson.loads(row[13])
            kind = kind_of(row[6], body)
            decoded.append((row, body, kind))
            if (order := _order(row)) > newest.get((row[1], kind), (0, 0)):
                newest[row[1], kind] = order
        return [self._reading(row, body, kind, newest, now_ms) for row, body, kind in decoded]

    def _reading(
        self,
        row: Sequence[Any],
        body: dict[str, Any],
        kind: str,
        newest: Mapping[tuple[int, str], tuple[int, int]],
        now_ms: int,
    ) -> Reading:
        number, internal, node, topic, boot, seq, message_class, time_ms, dated_by = row[:9]
        latest = newest.get((internal, kind), (0, 0)) <= _order(row)
        if latest and message_class == "status":
            latest = not self.store.query(_NEWER_STATUS, (internal, boot, boot, number))
        elif latest:
            latest = not self.store.query(_NEWER, (internal, boot, seq, message_class, kind == "spectrum"))
        return Reading(
            place=Place(number, internal, boot, seq),
            node=node,
            topic=topic,
            kind=kind,
            time_ms=time_ms,
            dated_by=dated_by,
            received_ms=row[11],
            values=_values(body),
            historical=time_ms is not None and now_ms - time_ms > HISTORICAL_MS,
            latest=latest,
            uptime_ms=row[12],
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _order(row: Sequence[Any]) -> tuple[int, int]:
    """By which the records of a node and class follow each other."""
    return row[4], row[0] if row[6] == "status" else row[5]


def _values(body: dict[str, Any]) -> Mapping[str, Any]:
    """By name and readable; as they are in the store where a later version has something that this one can't read."""
    try:
        return readable(dict(body))
    except MessageError:
        return body
