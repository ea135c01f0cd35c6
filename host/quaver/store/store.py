"""The store: every record once, in a SQLite file, with what is known of nodes, clocks, gaps and refusals.

What a batch of messages brought is one transaction, flushed to the disk (`synchronous` FULL) before its messages are
acknowledged; a cut or a failure leaves the file as the last transaction left it. Uniqueness is the table's own: node,
boot, seq. A record keeps its uptime; its date is put together in the view `dated` from the clock of its boot, so that
what is learned later of a clock dates every record of that boot.

Readers may look while it is written (write-ahead log). A second writer is refused by a lock on the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from quaver.errors import StoreError

_APPLICATION = 0x51767231  # "Qvr1": says that a SQLite file is one of ours
_VERSION = 1
_BUSY_S = 10.0
# A copy that comes within this many records of its node is a resend: a node whose acknowledgement was lost, or whose
# power went before it could note one, sends what it has not noted. A copy that comes later is a replay, unless it is
# the broker that says so: what this store did not acknowledge before it was killed comes again, marked.
RESEND_WINDOW = 256
EVENTS_MAX = 1000  # rows; foreign key ids are free to invent, and beyond this they share one row

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE node (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,        -- 8 bytes of the chip, or the name's text of a node that seals nothing
    topic TEXT NOT NULL,            -- its place, up to the class
    arrivals INTEGER NOT NULL,      -- numbers its records in the order of their coming
    received INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    oldest_boot INTEGER NOT NULL,   -- what its journal still holds; older boots are refused
    generation INTEGER NOT NULL,    -- of its newest key seen, and the first place it was seen at
    generation_boot INTEGER NOT NULL,
    generation_seq INTEGER NOT NULL,
    last_time_ms INTEGER            -- the latest date that its clock has told
);
CREATE TABLE clock (                -- of one boot
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    offset_ms INTEGER,              -- time - uptime, by the node's clock when it was set last; NULL: never
    receipt_offset_ms INTEGER NOT NULL,  -- the same at most: by when its records came
    not_before_ms INTEGER,          -- the same at least: what an earlier boot was dated; NULL: nothing is known
    PRIMARY KEY (node, boot)
) WITHOUT ROWID;
CREATE TABLE clock_set (            -- the same, each time that it moved; a crystal drifts minutes in a year
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    PRIMARY KEY (node, boot, uptime_ms)
) WITHOUT ROWID;
CREATE TABLE record (
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    tag BLOB NOT NULL,              -- the seal's own check: equal for a copy, different for another message
    received_ms INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    time_ms INTEGER,                -- by the node's clock; NULL when that was not set, or not to be believed
    claimed_ms INTEGER,             -- what a clock said that was not believed
    body TEXT NOT NULL              -- the fields, JSON
);
CREATE UNIQUE INDEX record_once ON record (node, boot, seq);
CREATE TABLE explained (            -- what a node says it lost
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,          -- of the run that was dropped; -1: RAM lost its content when the power went,
    until INTEGER NOT NULL,         -- and any from (boot, first) to the begin of boot `until` may have been in it
    PRIMARY KEY (node, boot, first, last, until)
) WITHOUT ROWID;
CREATE TABLE security_event (       -- counted; all but `clock` are messages that were refused
    node TEXT NOT NULL,             -- the id that the message bore, in hexadecimal; '' for all that found no room
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,           -- of the last one
    PRIMARY KEY (node, reason)
) WITHOUT ROWID;
CREATE VIEW dated AS
SELECT lower(hex(n.id)) AS node, n.topic, r.boot, r.seq, r.class,
    coalesce(r.time_ms, r.uptime_ms + coalesce(
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot AND s.uptime_ms <= r.uptime_ms
            ORDER BY s.uptime_ms DESC LIMIT 1),
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot ORDER BY s.uptime_ms LIMIT 1),
        c.receipt_offset_ms)) AS time_ms,
    CASE WHEN r.time_ms IS NOT NULL THEN 'node' WHEN c.offset_ms IS NOT NULL THEN 'offset' ELSE 'receipt' END
        AS dated_by,
    CASE WHEN r.time_ms IS NOT NULL OR c.offset_ms IS NOT NULL THEN 0
        ELSE c.receipt_offset_ms - c.not_before_ms END AS uncertain_ms,
    r.claimed_ms, r.received_ms, r.uptime_ms, r.body
FROM record r JOIN node n ON n.number = r.node LEFT JOIN clock c ON c.node = r.node AND c.boot = r.boot;
"""


class Row(NamedTuple):
    """One record as the table has it."""

    node: int
    boot: int
    seq: int
    leaf: str
    arrival: int
    tag: bytes
    received_ms: int
    uptime_ms: int
    time_ms: int | None
    claimed_ms: int | None
    body: str


@dataclass
class Node:
    """What the store knows of one node; columns of the table of that name."""

    number: int
    id: bytes
    topic: str
    arrivals: int = 0
    received: int = 0
    duplicates: int = 0
    oldest_boot: int = 0
    generation: int = 0
    generation_boot: int = 0
    generation_seq: int = 0
    last_time_ms: int | None = None


@dataclass
class Clock:
    """What the store knows of one boot's clock; columns of the table of that name."""

    node: int
    boot: int
    offset_ms: int | None
    receipt_offset_ms: int
    not_before_ms: int | None


@dataclass(frozen=True)
class Copy:
    """A row that the store has already. same: a copy bit by bit; age: records of its node that came since."""

    row: Row
    same: bool
    age: int

    @property
    def resent(self) -> bool:
        return self.same and self.age <= RESEND_WINDOW


class Store:
    """path: made when it is missing. write: take the lock of the one writer; False only reads.

    Raises StoreError, here and everywhere: the transaction is rolled back then, and the file is as it was.
    """

    def __init__(self, path: Path, write: bool = True) -> None:
        self.path = path
        self._lock: int | None = None
        if not write and not path.exists():
            raise StoreError(f"{path}: there is no such store; name the file that quaver ingest writes")
        try:
            if write:
                self._take_lock()
            mode = "rwc" if write else "ro"
            uri = f"{path.absolute().as_uri()}?mode={mode}"
            self._db = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            self._free_lock()
            raise StoreError(f"{path}: can't be opened ({error}); name a file in a folder of yours") from error
        try:
            with self._failures():
                self._open(write)
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        try:
            # Never closed before SQLite closes the file: its own locks are the process's, and would go with this.
            self._lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._free_lock()
            raise StoreError(
                f"{self.path}: another quaver ingest writes it; stop that one, or name another store"
            ) from error
        except OSError as error:
            raise StoreError(
                f"{self.path}: can't be opened ({error.strerror}); name a file in a folder of yours"
            ) from error

    def _free_lock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _open(self, write: bool) -> None:
        db = self._db
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        empty = not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if application != _APPLICATION and not (empty and write):
            raise StoreError(f"{self.path}: is no store of Quaver's; name another file")
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
        if empty and write:
            with self.transaction():
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('client_id', ?)", (f"quaver-ingest-{secrets.token_hex(6)}",))
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                db.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise StoreError(f"{self.path}: of version {version}, this quaver reads {_VERSION}; update it")

    @property
    def client_id(self) -> str:
        """Names the session at the broker that feeds this store, and no other's."""
        return str(self.query("SELECT value FROM meta WHERE name = 'client_id'")[0][0])

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self._free_lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            say = {
                sqlite3.SQLITE_FULL: "the disk is full; make room",
                sqlite3.SQLITE_BUSY: "another program holds it locked; close that one",
                sqlite3.SQLITE_READONLY: "can't be written; check its permissions",
                sqlite3.SQLITE_IOERR: "can't be written (input/output error, or no more room); check the disk",
                sqlite3.SQLITE_CORRUPT: "is corrupt; move it away, or mend it with sqlite3's .recover",
                sqlite3.SQLITE_NOTADB: "is no SQLite file; name another",
                sqlite3.SQLITE_CANTOPEN: "can't be opened; check its folder's permissions",
            }.get(code, str(error))
            raise StoreError(f"{self.path}: {say}") from error

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._failures():
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is on the disk afterwards, or nothing of it when it raises."""
        with self._failures():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back by itself
                    self._db.execute("ROLLBACK")
                raise

    def nodes(self) -> list[Node]:
        return [Node(*row) for row in self.query("SELECT * FROM node ORDER BY topic")]

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [tuple(vars(node).values()) for node in nodes],
        )

    def clock(self, node: int, boot: int) -> Clock | None:
        found = self.query("SELECT * FROM clock WHERE node = ? AND boot = ?", (node, boot))
        return Clock(*found[0]) if found else None

    def put_clocks(self, clocks: Iterable[Clock]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO clock VALUES (?, ?, ?, ?, ?)", [tuple(vars(clock).values()) for clock in clocks]
        )

    def put_clock_sets(self, sets: Iterable[tuple[int, int, int, int]]) -> None:
        """sets: (node, boot, uptime, offset), each in ms."""
        self._db.executemany("INSERT OR REPLACE INTO clock_set VALUES (?, ?, ?, ?)", sets)

    def put_explained(self, runs: Iterable[tuple[int, int, int, int, int]]) -> None:
        """runs: (node, boot, first, last, until) as the table has them."""
        self._db.executemany("INSERT OR IGNORE INTO explained VALUES (?, ?, ?, ?, ?)", runs)

    def put_security_event(self, node: str, reason: str, count: int, now_ms: int, detail: str) -> None:
        """Count `count` more of `reason` for a node; the rows are bounded."""
        known = self._db.execute(
            "SELECT 1 FROM security_event WHERE node = ? AND reason = ?", (node, reason)
        ).fetchone()
        if not known and self._db.execute("SELECT count(*) FROM security_event").fetchone()[0] >= EVENTS_MAX:
            node = ""
        self._db.execute(
            "INSERT INTO security_event VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET count = count + excluded.count, last_ms = excluded.last_ms, detail = excluded.detail",
            (node, reason, count, now_ms, now_ms, detail),
        )

    def add(self, rows: Sequence[Row]) -> list[Copy]:
        """Insert rows, inside a transaction; those that the store has already, each once for every time it came."""
        insert = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        try:
            self._db.execute("SAVEPOINT rows")
            self._db.executemany(insert, rows)
            self._db.execute("RELEASE rows")
            return []
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK TO rows")
        copies = []
        for row in rows:
            copy = self.find(row)
            if copy is None:
                self._db.execute(insert, row)
            else:
                copies.append(copy)
        self._db.execute("RELEASE rows")
        return copies

    def find(self, row: Row) -> Copy | None:
        """The copy of `row` that the store has, if any."""
        found = self._db.execute(
            "SELECT tag, class, arrival FROM record WHERE node = ? AND boot = ? AND seq = ?", row[:3]
        ).fetchone()
        if not found:
            return None
        tag, leaf, arrival = found
        return Copy(row, tag == row.tag and leaf == row.leaf, row.arrival - arrival)
