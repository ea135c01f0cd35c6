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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from quaver.errors import StoreError
from quaver.store.rows import NODE, Claim, Clock, Copy, Node, Row, Span
from quaver.store.schema import APPLICATION, MIGRATIONS, SCHEMA, VERSION
from quaver.system.identity import home, is_copy
from quaver.system.locks import holder

_T = TypeVar("_T")

BUSY_S = 10.0
LOOK_S = 0.5  # of a writer that waits for as long as it takes, between two lines to `wait`
_PAUSE_S = 0.05

EXPIRES = "key_expires"
"""In the table security_event, as `clock` no refusal: the node's key expires soon, or has; its detail is the day."""

EVENTS_MAX = 1000  # rows; foreign key ids are free to invent, and beyond this they share one row


def new_client_id() -> str:
    return f"quaver-ingest-{secrets.token_hex(6)}"


def outdated(name: str, version: int) -> str:
    return f"{name}: is of version {version}; start quaver ingest once, and it becomes {VERSION}"


class Store:
    """path: made when it is missing. write: take the lock of the one writer; False only reads. name: for messages.
    beside: not that lock, and yet short transactions, in which nothing may change that an ingest keeps in mind.

    Statements that are more than a look at this file's own settings are such that both engines take them; what the
    other engine does its own way overrides the methods here (postgresql.py).

    Raises StoreError, here and everywhere: the transaction is rolled back then, and the file is as it was.
    wait: called with a line again and again while another program holds the file locked, and then it is tried again
    for as long as it takes, as a service does; called with "" once the file is free. None: an error after a while.
    """

    shared = False  # whether several may write
    worker = ""  # which of several that is

    def __init__(
        self, path: Path, write: bool = True, wait: Callable[[str], None] | None = None, beside: bool = False
    ) -> None:
        self.path = path
        self.name = str(path)
        self.wait = wait
        self._lock: int | None = None
        write = write and not beside
        if not write and not path.exists():
            raise StoreError(f"{path}: there is no such store; name the file that quaver ingest writes")
        try:
            if write:
                self._take_lock()
            mode = "rwc" if write else "rw" if beside else "ro"
            uri = f"{path.absolute().as_uri()}?mode={mode}"
            patience = BUSY_S if wait is None else LOOK_S
            self._db = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
        except sqlite3.Error as error:
            self._free_lock()
            raise StoreError(f"{path}: can't be opened ({error}); name a file in a folder of yours") from error
        try:
            with self._failures():
                self._open(write)
                if beside and self.version != VERSION:
                    raise StoreError(outdated(self.name, self.version))
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
                f"{self.path}: another quaver ingest writes to it; stop that one, or name another store"
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
        application = self.query("PRAGMA application_id")[0][0]
        empty = not self.query("SELECT 1 FROM sqlite_master LIMIT 1")
        if application != APPLICATION and not (empty and write):
            raise StoreError(f"{self.path}: is not a Quaver store; name another file")
        if write:
            self.query("PRAGMA journal_mode = WAL")
            self.query("PRAGMA synchronous = FULL")
        version: int = self.query("PRAGMA user_version")[0][0]
        if empty and write:
            with self.transaction():
                self._script(SCHEMA)
                db.execute("INSERT INTO meta VALUES ('client_id', ?)", (new_client_id(),))
                db.execute(f"PRAGMA application_id = {APPLICATION}")
                db.execute(f"PRAGMA user_version = {VERSION}")
            version = VERSION
        while write and version in MIGRATIONS:
            with self.transaction():
                self._script(MIGRATIONS[version])
                version += 1
                db.execute(f"PRAGMA user_version = {version}")
        self.version = version
        if not (version == VERSION or (version in MIGRATIONS and not write)):
            raise StoreError(f"{self.path}: is of version {version}, this quaver reads {VERSION}; update quaver")

    def _script(self, sql: str) -> None:
        for statement in sql.split(";\n"):
            self._db.execute(statement)

    def elected(self) -> bool:
        """Whether this is the one of several workers that does what one alone may do."""
        return True

    @property
    def client_id(self) -> str:
        """Names the session at the broker that feeds this store, and no other's."""
        return self.meta("client_id")

    def meta(self, name: str) -> str:
        found = self.query("SELECT value FROM meta WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    def put_meta(self, values: Mapping[str, str]) -> None:
        self._run_many(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            list(values.items()),
        )

    def drop_meta(self, names: Iterable[str]) -> None:
        self._run_many("DELETE FROM meta WHERE name = ?", [(name,) for name in names])

    def delete_all(self, table: str) -> None:
        """Of a table that is no record's, inside a transaction."""
        self._run_many(f"DELETE FROM {table}", [()])  # noqa: S608  of the schema

    def settle(self, moved: bool = False) -> tuple[str, str]:
        """Take an id of its own when this file is a copy: (former id, given-up id), each "" when there is none.

        A copy keeps the former id, under which the broker may keep messages for the store that it was made of.
        moved: that store is no more, and this one takes its id up again, and gives up its own if it had taken one.
        """
        kept, former, mine = self.meta("home"), self.meta("former_client_id"), self.client_id
        copied = bool(kept) and is_copy(self.path, kept)
        given_up = ""
        values = {"home": home(self.path)}
        if moved:
            if former and not copied:
                values["client_id"], given_up = former, mine
            values["former_client_id"] = former = ""
        elif copied:
            values["former_client_id"] = former = mine
            values["client_id"] = new_client_id()
        if values != {"home": kept}:
            with self.transaction():
                self.put_meta(values)
        return former if copied and not moved else "", given_up

    @property
    def followed(self) -> bool:
        """Whether this machine's clock is known by spans; not yet in a store of an older version that is only read."""
        return self.version > 1

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
                sqlite3.SQLITE_FULL: "the disk is full; free some space",
                sqlite3.SQLITE_BUSY: f"{holder(self.path)} has locked it; stop that program, then try again",
                sqlite3.SQLITE_READONLY: "can't be written; check its permissions",
                sqlite3.SQLITE_IOERR: "can't be written (input/output error, or no space left); check the disk",
                sqlite3.SQLITE_CORRUPT: "is corrupt; move it away, or repair it with sqlite3's .recover",
                sqlite3.SQLITE_NOTADB: "is not an SQLite file; name another",
                sqlite3.SQLITE_CANTOPEN: "can't be opened; check its folder's permissions",
            }.get(code, str(error))
            raise StoreError(f"{self.path}: {say}") from error

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._failures():
            return self._patient(lambda: self._db.execute(sql, values).fetchall())

    def _run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a statement inside a transaction returns."""
        return self._db.execute(sql, values).fetchall()

    def _run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement that returns nothing, inside a transaction, for each row of values."""
        self._db.executemany(sql, rows)

    def put_rows(self, table: str, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Put rows, {column: value}, in place of those of the same key: columns, with commas between them."""
        if not rows:
            return
        columns = list(rows[0])
        news = ", ".join(f"{column} = excluded.{column}" for column in columns)
        marks = ", ".join("?" * len(columns))
        self._run_many(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "  # noqa: S608  all of it is ours
            f"ON CONFLICT ({key}) DO UPDATE SET {news}",
            [tuple(row.values()) for row in rows],
        )

    def _patient(self, action: Callable[[], _T]) -> _T:
        """What `action` returns, once no other program holds the file locked."""
        waited = False
        while True:
            try:
                done = action()
            except sqlite3.OperationalError as error:
                if self.wait is None or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                self.wait(f"{self.path}: {holder(self.path)} has locked it; waiting until it is free")
                waited = True
                time.sleep(_PAUSE_S)
                continue
            if waited and self.wait is not None:
                self.wait("")
            return done

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is on the disk afterwards, or nothing of it when it raises."""
        with self._failures():
            self._patient(lambda: self._db.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._patient(lambda: self._db.execute("COMMIT"))
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back by itself
                    self._db.execute("ROLLBACK")
                raise

    def nodes(self) -> list[Node]:
        return [Node(*row) for row in self.query(f"SELECT {NODE} FROM node ORDER BY topic")]  # noqa: S608  ours

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        self.put_rows("node", "number", [vars(node) for node in nodes])

    def newest_boots(self, nodes: Sequence[int]) -> dict[int, int]:
        """The newest boot of each node of which one is known."""
        marks = ", ".join("?" * len(nodes))
        sql = f"SELECT node, max(boot) FROM clock WHERE node IN ({marks}) GROUP BY node"  # noqa: S608  question marks
        return dict(self.query(sql, tuple(nodes))) if nodes else {}

    def dated_before(self, node: int, boot: int) -> int | None:
        """The latest date that a node's boots before `boot` told."""
        sql = "SELECT max(time_ms) FROM record WHERE node = ? AND boot < ?"
        return self.query(sql, (node, boot))[0][0]  # type: ignore[no-any-return]

    def clock(self, node: int, boot: int) -> Clock | None:
        found = self.query("SELECT * FROM clock WHERE node = ? AND boot = ?", (node, boot))
        return Clock(*found[0]) if found else None

    def put_clocks(self, clocks: Iterable[Clock]) -> None:
        self.put_rows("clock", "node, boot", [vars(clock) for clock in clocks])

    def put_receipts(self, receipts: Mapping[tuple[int, int, int], int]) -> None:
        """receipts: {(node, boot, span): time - uptime at most, ms}."""
        self._run_many(
            "INSERT INTO receipt VALUES (?, ?, ?, ?) ON CONFLICT (node, boot, span) "
            "DO UPDATE SET offset_ms = min(receipt.offset_ms, excluded.offset_ms)",
            [(*key, offset) for key, offset in receipts.items()],
        )

    def spans(self) -> list[Span]:
        """In the order of time."""
        return [Span(*row) for row in self.query("SELECT * FROM span ORDER BY number")]

    def put_spans(self, spans: Iterable[Span]) -> None:
        self.put_rows("span", "number", [{**vars(span), "vouched": int(span.vouched)} for span in spans])

    def clock_sets(self, node: int, boot: int) -> list[tuple[int, int]]:
        """(uptime, offset) of each time that the clock of a boot was set, ms, in order."""
        sql = "SELECT uptime_ms, offset_ms FROM clock_set WHERE node = ? AND boot = ? ORDER BY uptime_ms"
        return [(uptime, offset) for uptime, offset in self.query(sql, (node, boot))]

    def last_time_ms(self, node: int) -> int | None:
        """The latest date that a node told and that is believed, ms."""
        return self.query("SELECT last_time_ms FROM node WHERE number = ?", (node,))[0][0]  # type: ignore[no-any-return]

    def claims(self, node: int, boot: int) -> list[Claim]:
        """What the records of a boot say of the date, in the order of their uptime."""
        sql = (
            "SELECT seq, uptime_ms, coalesce(time_ms, claimed_ms), time_ms IS NOT NULL, received_ms + shift_ms "
            "FROM record JOIN span ON number = span WHERE node = ? AND boot = ? "
            "AND coalesce(time_ms, claimed_ms) IS NOT NULL ORDER BY uptime_ms, seq"
        )
        return [Claim(*row) for row in self.query(sql, (node, boot))]

    def claiming(self, spans: Sequence[int]) -> list[tuple[int, int]]:
        """The boots (node, boot) of which a record came in one of `spans` and says a date."""
        marks = ", ".join("?" * len(spans))
        sql = (
            f"SELECT DISTINCT node, boot FROM record WHERE span IN ({marks}) "  # noqa: S608  the marks are ours
            "AND coalesce(time_ms, claimed_ms) IS NOT NULL"
        )
        return [(node, boot) for node, boot in self.query(sql, spans)]

    def put_judged(
        self, node: int, boot: int, believed: Iterable[Claim], others: Iterable[Claim], sets: Sequence[tuple[int, int]]
    ) -> None:
        """Date a boot anew: by the claims that are believed, and by when its clock was set, (uptime, offset)."""
        key, set_ = (
            (node, boot),
            "UPDATE record SET time_ms = ?, claimed_ms = ? WHERE node = ? AND boot = ? AND seq = ?",
        )
        self._run_many(set_, [(claim.time_ms, None, *key, claim.seq) for claim in believed])
        self._run_many(set_, [(None, claim.time_ms, *key, claim.seq) for claim in others])
        self._run_many("DELETE FROM clock_set WHERE node = ? AND boot = ?", [key])
        self.put_clock_sets((node, boot, *at) for at in sets)
        self._run_many(
            "UPDATE clock SET offset_ms = ? WHERE node = ? AND boot = ?", [(sets[-1][1] if sets else None, *key)]
        )
        self._run_many(
            "UPDATE node SET last_time_ms = (SELECT max(time_ms) FROM record WHERE node = number) WHERE number = ?",
            [(node,)],
        )
        self._run_many(
            "UPDATE clock SET not_before_ms = (SELECT max(time_ms) FROM record r WHERE r.node = clock.node "
            "AND r.boot < clock.boot) WHERE node = ? AND boot > ?",
            [key],
        )

    def put_clock_sets(self, sets: Iterable[tuple[int, int, int, int]]) -> None:
        """sets: (node, boot, uptime, offset), each in ms."""
        self._run_many(
            "INSERT INTO clock_set VALUES (?, ?, ?, ?) ON CONFLICT (node, boot, uptime_ms) "
            "DO UPDATE SET offset_ms = excluded.offset_ms",
            sets,
        )

    def put_explained(self, runs: Iterable[tuple[int, int, int, int, int]]) -> None:
        """runs: (node, boot, first, last, until) as the table has them."""
        self._run_many("INSERT INTO explained VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", runs)

    def put_expiring(self, found: Mapping[str, str], now_ms: int) -> None:
        """The nodes whose key expires soon or has expired, id in hexadecimal -> the day; these and no others."""
        with self.transaction():
            known = self._run("SELECT node FROM security_event WHERE reason = ?", (EXPIRES,))
            over = [(EXPIRES, node) for (node,) in known if node not in found]
            self._run_many("DELETE FROM security_event WHERE reason = ? AND node = ?", over)
            self._run_many(
                "INSERT INTO security_event VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node, reason) DO UPDATE SET "
                "last_ms = excluded.last_ms, detail = excluded.detail",
                [(node, EXPIRES, 1, now_ms, now_ms, day) for node, day in sorted(found.items())],
            )

    def put_security_event(self, node: str, reason: str, count: int, now_ms: int, detail: str) -> None:
        """Count `count` more of `reason` for a node; the rows are bounded."""
        known = self._run("SELECT 1 FROM security_event WHERE node = ? AND reason = ?", (node, reason))
        if not known and self._run("SELECT count(*) FROM security_event")[0][0] >= EVENTS_MAX:
            node = ""
        self._run_many(
            "INSERT INTO security_event VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node, reason) DO UPDATE SET "
            "count = security_event.count + excluded.count, last_ms = excluded.last_ms, detail = excluded.detail",
            [(node, reason, count, now_ms, now_ms, detail)],
        )

    def add(self, rows: Sequence[Row]) -> list[Copy]:
        """Insert rows, inside a transaction; those that the store has already, each once for every time it came."""
        insert = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
        found = self._run("SELECT tag, class, arrival FROM record WHERE node = ? AND boot = ? AND seq = ?", row[:3])
        if not found:
            return None
        tag, message_class, arrival = found[0]
        return Copy(row, tag == row.tag and message_class == row.message_class, row.arrival - arrival)
