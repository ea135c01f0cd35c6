"""Roll-ups: count, least, sum and most of each quantity by node, boot and hour of its uptime, in a file of their own.

By uptime, not by date: what is learned later of a boot's clock dates its hours anew when they are asked for, and
nothing has to be built again. The file is a cache. It may be deleted, and is built anew from the store; hours whose
records a policy has deleted leave it too, and the store's own table `hourly` goes on there.

It also notes where the rare records of a node are (events, answers, spectra, statuses), which a store finds only by
reading all of them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quaver.errors import StoreError
from quaver.files.private_base import open_private_base
from quaver.messages.quantities import QUANTITIES, numbers
from quaver.query.clocks import HOUR_MS, Span
from quaver.query.source import Place, Reading, Source
from quaver.store.removed import removed_runs

VERSION = 1
_NAMES_MAX = 1000  # quantities; machines name their own
_SCHEMA = """
CREATE TABLE place (row INTEGER NOT NULL, node INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE quantity (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE bucket (               -- telemetry of an hour of uptime, and where it lies in the store
    node INTEGER NOT NULL, boot INTEGER NOT NULL, hour INTEGER NOT NULL,
    count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (node, boot, hour)
) WITHOUT ROWID;
CREATE TABLE value (
    node INTEGER NOT NULL, quantity INTEGER NOT NULL, boot INTEGER NOT NULL, hour INTEGER NOT NULL,
    count INTEGER NOT NULL, low REAL NOT NULL, total REAL NOT NULL, high REAL NOT NULL,
    PRIMARY KEY (node, quantity, boot, hour)
) WITHOUT ROWID;
CREATE TABLE rare (
    node INTEGER NOT NULL, kind TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (node, kind, boot, seq)
) WITHOUT ROWID
"""
_PUT_BUCKET = """
INSERT INTO bucket VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
    first = min(first, excluded.first), last = max(last, excluded.last)
"""
_PUT_VALUE = """
INSERT INTO value VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
    low = min(low, excluded.low), total = total + excluded.total, high = max(high, excluded.high)
"""


# SQLite does the sums: to make 8,760 hours of a year rows of Python takes longer than all the rest of an answer.
_SPANS = """
WITH s AS MATERIALIZED (
    SELECT key AS place, json_extract(value, '$[0]') AS boot, json_extract(value, '$[1]') AS first,
        json_extract(value, '$[2]') AS last, json_extract(value, '$[3]') AS offset_ms FROM json_each(?)
)
"""
_HELD = f"""{_SPANS}
SELECT s.boot, sum(b.count), min(b.first), max(b.last)
FROM s CROSS JOIN bucket b ON b.node = ? AND b.boot = s.boot AND b.hour BETWEEN s.first AND s.last
GROUP BY s.place ORDER BY s.place
"""  # noqa: S608
_VALUES = """
FROM s CROSS JOIN value v ON v.node = ? AND v.quantity = ? AND v.boot = s.boot AND v.hour BETWEEN s.first AND s.last
"""
_DATE = f"(v.hour * {HOUR_MS} + s.offset_ms)"

Step = tuple[int, int, float, float, float]  # when it begins, ms; n; least, sum and most


class Held(NamedTuple):
    """So many measurements of a boot, and the lowest and highest number of theirs."""

    boot: int
    n: int
    first: int
    last: int


class Bucket(NamedTuple):
    """An hour of uptime: n measurements, and the lowest and highest number of theirs."""

    boot: int
    hour: int
    n: int
    first: int
    last: int


class Rollups:
    """path: of the file; made when it is missing. One thread writes (follow, prune), any may ask.

    Raises StoreError where the file can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = threading.local()
        self._numbers: dict[str, int] = {}
        base = self._base()
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")  # a cut loses the newest part of a cache
        with self._transaction() as base:
            base.executemany("INSERT OR IGNORE INTO quantity (name) VALUES (?)", [(name,) for name in QUANTITIES])
        self._numbers = {row["name"]: row["number"] for row in base.execute("SELECT * FROM quantity")}

    def close(self) -> None:
        """Of the thread that calls; those of others close as they end."""
        base: sqlite3.Connection | None = self._own.__dict__.pop("base", None)
        if base is not None:
            base.close()

    # What the one that follows the store does.

    def place(self, source: Source) -> Place:
        """Behind what has been taken; the start where the file belongs to another store, and then it is emptied."""
        found = self._query("SELECT * FROM place")
        if not found:
            return Place()
        try:
            return source.find(Place(*found[0]))
        except StoreError:
            with self._transaction() as base:
                for table in ("place", "bucket", "value", "rare"):
                    base.execute(f"DELETE FROM {table}")  # noqa: S608  of the schema
            return Place()

    def row(self) -> int:
        """Of the last record that has been taken."""
        found = self._query("SELECT row FROM place")
        return int(found[0][0]) if found else 0

    def take(self, readings: Sequence[Reading]) -> None:
        """The next records of the store, each once."""
        if not readings:
            return
        buckets: dict[tuple[int, int, int], list[int]] = {}
        values: dict[tuple[int, int, int, int], list[float]] = {}
        rare: list[tuple[int, str, int, int]] = []
        for one in readings:
            _, node, boot, seq = one.place
            if one.kind != "telemetry":
                rare.append((node, one.kind, boot, seq))
                continue
            hour = one.uptime_ms // HOUR_MS
            bucket = buckets.setdefault((node, boot, hour), [0, seq, seq])
            bucket[:] = bucket[0] + 1, min(bucket[1], seq), max(bucket[2], seq)
            for name, _, number in numbers(one.values):
                place = self._number(name)
                if place is None:
                    continue
                key = (node, place, boot, hour)
                held = values.get(key)
                if held is None:
                    values[key] = [1, number, number, number]
                else:
                    held[:] = held[0] + 1, min(held[1], number), held[2] + number, max(held[3], number)
        with self._transaction() as base:
            base.executemany(_PUT_BUCKET, [(*key, *held) for key, held in buckets.items()])
            base.executemany(_PUT_VALUE, [(*key, *held) for key, held in values.items()])
            base.executemany("INSERT OR IGNORE INTO rare VALUES (?, ?, ?, ?)", rare)
            base.execute("DELETE FROM place")
            base.execute("INSERT INTO place VALUES (?, ?, ?, ?)", readings[-1].place)

    def _number(self, name: str) -> int | None:
        """Of a quantity here; of one that has no field, from its first record on. None: there are too many of those."""
        number = self._numbers.get(name)
        if number is None and len(self._numbers) < _NAMES_MAX:
            with self._transaction() as base:
                base.execute("INSERT OR IGNORE INTO quantity (name) VALUES (?)", (name,))
                number = self._numbers[name] = int(
                    base.execute("SELECT number FROM quantity WHERE name = ?", (name,)).fetchone()[0]
                )
        return number

    def prune(self, source: Source) -> int:
        """Forget the hours whose records a policy has deleted since; how many."""
        count = 0
        for node in source.store.nodes():
            ends: dict[int, tuple[list[int], list[int]]] = {}
            for run in removed_runs(source.store, node.number):
                firsts, lasts = ends.setdefault(run.boot, ([], []))
                firsts.append(run.first)
                lasts.append(run.last)
            gone = [
                (node.number, one.boot, one.hour)
                for one in self.buckets(node.number)
                if one.boot in ends and all(_within(ends[one.boot], seq) for seq in (one.first, one.last))
            ]
            with self._transaction() as base:
                base.executemany("DELETE FROM bucket WHERE node = ? AND boot = ? AND hour = ?", gone)
                for number in self._numbers.values():
                    base.executemany(
                        f"DELETE FROM value WHERE node = ? AND quantity = {number} AND boot = ? AND hour = ?",  # noqa: S608
                        gone,
                    )
            count += len(gone)
        return count

    # What is asked.

    def buckets(self, node: int) -> list[Bucket]:
        sql = "SELECT boot, hour, count, first, last FROM bucket WHERE node = ? ORDER BY boot, hour"
        return [Bucket(*row) for row in self._query(sql, (node,))]

    def held(self, node: int, spans: Sequence[Span]) -> list[Held]:
        """What lies in each of them, of those that have something."""
        return [Held(*row) for row in self._query(_HELD, (json.dumps(spans), node))]

    def extent(self, node: int, quantity: str, spans: Sequence[Span]) -> tuple[int, int] | None:
        """When the first and the last hour of a quantity begin, ms; None where there is none."""
        sql = f"{_SPANS} SELECT min({_DATE}), max({_DATE}) {_VALUES}"
        ((first, last),) = self._query(sql, (json.dumps(spans), node, self._numbers.get(quantity, -1)))
        return None if first is None else (first, last)

    def steps(self, node: int, quantity: str, spans: Sequence[Span], step_ms: int) -> list[Step]:
        """One quantity by steps of so many ms, by the date at which its hours begin: in order."""
        sql = f"""{_SPANS} SELECT {_DATE} / ? * ? AS begin, sum(v.count), min(v.low), sum(v.total), max(v.high)
            {_VALUES} GROUP BY begin ORDER BY begin"""
        return self._query(sql, (json.dumps(spans), step_ms, step_ms, node, self._numbers.get(quantity, -1)))

    def rare(self, node: int, kind: str) -> list[tuple[int, int]]:
        """The records of a kind that is not telemetry: (boot, seq), in order."""
        sql = "SELECT boot, seq FROM rare WHERE node = ? AND kind = ? ORDER BY boot, seq"
        return [(boot, seq) for boot, seq in self._query(sql, (node, kind))]

    def _base(self) -> sqlite3.Connection:
        base: sqlite3.Connection | None = getattr(self._own, "base", None)
        if base is None:
            try:
                base = open_private_base(self.path, _SCHEMA, VERSION, option="--state", failure=StoreError)
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: can't be used ({error}); delete it, it is built anew") from error
            self._own.base = base
        return base

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._base().execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: can't be read ({error}); delete it, it is built anew") from error

    def _transaction(self) -> _Transaction:
        return _Transaction(self.path, self._base())


class _Transaction:
    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self._path, self._db = path, base

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: Any) -> None:
        try:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: can't be written ({error}); free disk space for it") from error
        if isinstance(value, sqlite3.Error):
            raise StoreError(f"{self._path}: can't be written ({value}); delete it, it is built anew") from value


def _within(runs: tuple[Sequence[int], Sequence[int]], seq: int) -> bool:
    place = bisect_right(runs[0], seq) - 1
    return place >= 0 and seq <= runs[1][place]


def follow(source: Source, rollups: Rollups, most: int, batch: int = 2000) -> Iterable[list[Reading]]:
    """Take what the store has behind the roll-ups, `most` records at most; each batch once it is taken."""
    place = rollups.place(source)
    left = most
    while left > 0 and (readings := source.after(place, min(batch, left))):
        rollups.take(readings)
        place = readings[-1].place
        left -= len(readings)
        yield readings
