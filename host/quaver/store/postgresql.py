"""The store in a database of PostgreSQL: several workers write it, on as many machines.

A transaction that writes holds the store's one lock from its begin to its end (an advisory lock of the transaction). So
what it reads of a node's state, its replay window, its keys and its clock, is what the last one left, whoever that was;
and records get their `rowid` in the order of the commits, so a reader that goes by it passes over none. What takes most
of a worker's time, the opening of messages, it does before. Locks for each node would let nobody go on that this one
holds up: two batches of the same plant nearly always share a node.

The lock ends with its connection: a worker that is killed leaves nothing behind, and one whose machine is gone is cut
off by the server after a minute.
"""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg

from quaver.errors import StoreAway, StoreError
from quaver.store.postgresql_errors import gone, said_by
from quaver.store.postgresql_schema import SPANS, migration, month, schema, statement
from quaver.store.rows import COLUMNS, NODE, RESEND_WINDOW, Clock, Copy, Node, Row, Span
from quaver.store.schema import VERSION
from quaver.store.store import BUSY_S, LOOK_S, Store, new_client_id, outdated
from quaver.system.identity import COPIED, machine

_T = TypeVar("_T")
_APPLICATION = "Qvr1"  # in `meta`: says that a database is one of ours
_LINGER_S = 2.0  # which the server may take to find out that the worker before was killed
_PAUSE_S = (0.2, 5.0)  # between two tries to connect, the first and the most
# Of advisory locks, beside the schema that the store lies in: what for. A worker's own has its name's checksum there.
_WRITE, _ALONE, _ELECTED = 1, 2, 3
_SCHEMA = "current_schema()::regnamespace::oid::int"
_SESSION = (
    "SET client_encoding = 'UTF8'; SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '60s'; "
    f"SET lock_timeout = '{round(1000 * BUSY_S)}ms'"
)
_CONNECTION = {
    "application_name": "quaver",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_TYPES = ("int8", "int8", "int8", "text", "int8", "bytea", "int8", "int8", "int8", "int8", "text", "int8")
_statement = lru_cache(500)(statement)


class PostgresqlStore(Store):
    """url: as libpq takes it, without a password. worker: the name of one of several that ingest; "": the only one.

    The rest as in Store. wait: called while the database is away too. A connection that is lost is made anew; what was
    under way in a transaction raises StoreAway.
    """

    shared = True

    def __init__(
        self,
        url: str,
        write: bool = True,
        wait: Callable[[str], None] | None = None,
        worker: str = "",
        beside: bool = False,
    ) -> None:
        self.name = url
        self.wait = wait
        self.worker = worker
        self._url = url
        self._write = write
        self._alone = write and not beside
        self._depth = 0
        self._connecting = False
        self._parts: set[str] = set()
        self._kinds: dict[str, dict[str, str]] = {}  # of columns, by table
        self._connection: psycopg.Connection[Any] | None = None
        self._base = 0  # the first number of this machine's spans
        try:
            with self._failures():
                self._patient(lambda: None)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        given = psycopg.conninfo.conninfo_to_dict(self._url)
        added = {name: value for name, value in _CONNECTION.items() if name not in given}
        connection = psycopg.connect(self._url, autocommit=True, **added)  # type: ignore[arg-type]
        try:
            connection.adapters.register_loader("numeric", _whole(psycopg))  # sum() of whole numbers
            connection.execute(_SESSION)
            self._connection, self._connecting = connection, True
            self._parts.clear()
            self._open(self._alone)
            if self._alone:
                self._take_lock()
                self._base = self._machine() * SPANS
            elif not self._write:
                connection.execute("SET default_transaction_read_only = on")
            elif self.version != VERSION:
                raise StoreError(outdated(self.name, self.version))
        except BaseException:
            self._connection = None
            connection.close()
            raise
        finally:
            self._connecting = False

    def _take_lock(self) -> None:
        """Be the only one, or the only one of this worker's name; the server gives up a lock with its connection."""
        deadline = time.monotonic() + _LINGER_S
        kind = "pg_try_advisory_lock_shared" if self.worker else "pg_try_advisory_lock"
        locks = [(kind, _ALONE)]
        if self.worker:
            locks.append(("pg_try_advisory_lock", zlib.crc32(self.worker.encode()) - (1 << 31)))
        for take, what in locks:
            while not self._run(f"SELECT {take}({_SCHEMA}, ?)", (what,))[0][0]:
                if time.monotonic() > deadline:
                    raise StoreError(self._held(what != _ALONE))
                time.sleep(0.1)

    def elected(self) -> bool:
        return bool(self.query(f"SELECT pg_try_advisory_lock({_SCHEMA}, ?)", (_ELECTED,))[0][0])

    def _held(self, own: bool) -> str:
        if own:
            return f"{self.name}: the worker {self.worker} runs already; give this one another --worker NAME"
        if self.worker:
            return f"{self.name}: a quaver ingest without --worker writes to it; stop that one first"
        return f"{self.name}: another quaver ingest writes to it; stop that one, or give each --worker NAME"

    def _machine(self) -> int:
        """This machine's number; its spans are its own."""
        name = machine() or socket.gethostname()
        with self.transaction():
            found = self._run("SELECT number FROM machine WHERE name = ?", (name,))
            if found:
                return int(found[0][0])
            # A copy may have spans of machines that it does not know.
            sql = "SELECT count(*), (SELECT max(number) / ? + 1 FROM span) FROM machine"
            count, beyond = self._run(sql, (SPANS,))[0]
            number = max(count, beyond) if count else 0
            self._run_many("INSERT INTO machine VALUES (?, ?)", [(number, name)])
            self._run_many("INSERT INTO span VALUES (?, '', 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING", [(number * SPANS,)])
            return number

    def _open(self, write: bool) -> None:
        version = self._version()
        if version is None and write:
            with self.transaction():  # another worker may be doing the same
                version = self._version()
                if version is None:
                    self._create()
                    version = VERSION
        if version is None:
            raise StoreError(f"{self.name}: has no store; quaver ingest --store {self.name} makes it one")
        while version < VERSION and write:
            with self.transaction():
                version = self._version() or version
                if version < VERSION:
                    self._script(migration(version))
                    version += 1
                    self.put_meta({"version": str(version)})
        self.version = version
        if version > VERSION:
            raise StoreError(f"{self.name}: is of version {version}, this quaver reads {VERSION}; update quaver")

    def _version(self) -> int | None:
        """Of the store that is there; None in an empty database. Raises StoreError for one that is not ours."""
        if not self._run("SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace LIMIT 1"):
            return None
        if self._run("SELECT to_regclass('meta') IS NOT NULL AND to_regclass('record_key') IS NOT NULL")[0][0]:
            meta = dict(self._run("SELECT name, value FROM meta"))
            if meta.get("application") == _APPLICATION:
                return int(meta["version"])
        raise StoreError(f"{self.name}: holds tables that are not Quaver's; name an empty database")

    def _create(self) -> None:
        encoding = self._run("SHOW server_encoding")[0][0]
        if encoding != "UTF8":
            raise StoreError(
                f"{self.name}: is in {encoding}; make the database with: createdb -E UTF8 -T template0 NAME"
            )
        self._script(schema())
        self.put_meta({"client_id": new_client_id(), "application": _APPLICATION, "version": str(VERSION)})

    def _script(self, sql: str) -> None:
        self._live.execute(sql.encode())

    @property
    def _live(self) -> Any:
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        return self._connection

    def settle(self, moved: bool = False) -> tuple[str, str]:
        former, mine, copied = self.meta("former_client_id"), self.client_id, self.meta("home") == COPIED
        given_up = ""
        values = {"home": ""}
        if copied:
            values |= {"former_client_id": mine, "client_id": new_client_id()}
            former, mine = mine, values["client_id"]
        if moved and former:
            values |= {"former_client_id": "", "client_id": former}
            given_up = mine
        if copied or given_up:
            with self.transaction():
                self.put_meta(values)
        return former if copied and not moved else "", given_up

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        with _failures(self.name):
            yield

    @property
    def server(self) -> int:
        """The server's version, the first number of it."""
        return int(self.query("SHOW server_version_num")[0][0]) // 10_000

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[str]:
        """What the store holds at one moment: what is asked inside, and whoever is told this name (section 9.27.5)."""
        with self._failures():
            self._patient(lambda: self._live.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._depth = 1
            try:
                self._run("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield str(self._run("SELECT pg_export_snapshot()")[0][0])
            finally:
                self._depth = 0
                with contextlib.suppress(psycopg.Error):
                    self._live.execute("ROLLBACK")

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._failures():
            if self._depth:
                return self._run(sql, values)
            return self._patient(lambda: self._run(sql, values))

    def _run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._live.execute(_statement(sql), tuple(values))
        return cursor.fetchall() if cursor.description else []

    def _run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if rows:
            with self._live.cursor() as cursor:
                cursor.executemany(_statement(sql), rows)

    def put_rows(self, table: str, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        kinds = self._kinds.get(table)
        if kinds is None:
            sql = "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = ?::regclass"
            kinds = self._kinds[table] = dict(self._run(sql, (table,)))
        columns = list(rows[0])
        arrays = ", ".join(f"?::{kinds[column]}[]" for column in columns)
        news = ", ".join(f"{column} = excluded.{column}" for column in columns)
        self._run(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) "  # noqa: S608  ours
            f"ON CONFLICT ({key}) DO UPDATE SET {news}",
            [[row[column] for row in rows] for column in columns],
        )

    def _patient(self, action: Callable[[], _T]) -> _T:
        """What `action` returns, outside a transaction, once the database is there and nobody holds its lock."""
        deadline = time.monotonic() + BUSY_S
        first, pause, waited = not hasattr(self, "version"), _PAUSE_S[0], False
        anew = False
        while True:
            connected = self._connection is not None
            try:
                if self._connection is None or self._connection.closed:
                    self._connect()
                done = action()
            except psycopg.Error as error:
                held = isinstance(error, psycopg.errors.LockNotAvailable)
                if not held and (first or not gone(error)):
                    raise  # at the start a database that is not there may be a wrong URL
                if not held:
                    self.close()
                    if connected and not anew:
                        anew = True  # a connection that was cut while nothing went over it says nothing of the database
                        continue
                if self.wait is None and time.monotonic() > deadline:
                    raise
                if self.wait is not None:
                    self.wait(f"{self.name}: {said_by(error)}; waiting until it is free" if held
                              else f"{self.name}: {said_by(error)}; waiting until it is back")  # fmt: skip
                waited = True
                time.sleep(pause)
                pause = min(2 * pause, LOOK_S if held else _PAUSE_S[1])
                continue
            if waited and self.wait is not None:
                self.wait("")
            return done

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """As in Store. One inside another is a part of it."""
        if self._depth:
            yield
            return
        with self._failures():
            self._begin() if self._connecting else self._patient(self._begin)
            self._depth = 1
            try:
                yield
                self._commit()
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    self._live.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def _commit(self) -> None:
        self._live.execute("COMMIT")

    def _begin(self) -> None:
        self._live.execute("BEGIN")
        try:
            self._run(f"SELECT pg_advisory_xact_lock({_SCHEMA}, ?)", (_WRITE,))
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                self._live.execute("ROLLBACK")
            raise

    def spans(self) -> list[Span]:
        """Of this machine, in the order of time."""
        sql = "SELECT * FROM span WHERE number BETWEEN ? AND ? ORDER BY number"
        return [Span(*row) for row in self.query(sql, (self._base, self._base + SPANS - 1))]

    def nodes_of(self, ids: Sequence[bytes]) -> list[Node]:
        """Of those nodes what the store knows."""
        sql = f"SELECT {NODE} FROM node WHERE id = ANY(?)"  # noqa: S608  ours
        return [Node(*row) for row in self.query(sql, (list(ids),))]

    def boots_of(
        self, keys: Sequence[tuple[int, int]], span: int
    ) -> tuple[dict[tuple[int, int], Clock], dict[tuple[int, int], list[tuple[int, int]]], dict[tuple[int, int], int]]:
        """Of boots (node, boot): their clocks, each time that one was set (uptime, offset), and their receipts in
        `span`, as the tables have them."""
        those = "JOIN unnest(?::int8[], ?::int8[]) AS k (node, boot) USING (node, boot)"
        of = [[node for node, _ in keys], [boot for _, boot in keys]]
        clocks = self.query(f"SELECT node, boot, offset_ms, not_before_ms FROM clock {those}", of)  # noqa: S608  ours
        sets: dict[tuple[int, int], list[tuple[int, int]]] = {key: [] for key in keys}
        sql = f"SELECT node, boot, uptime_ms, offset_ms FROM clock_set {those} ORDER BY uptime_ms"  # noqa: S608
        for node, boot, uptime, offset in self.query(sql, of):
            sets[node, boot].append((uptime, offset))
        sql = f"SELECT node, boot, offset_ms FROM receipt {those} WHERE span = ?"  # noqa: S608
        receipts = {(node, boot): offset for node, boot, offset in self.query(sql, (*of, span))}
        return {(row[0], row[1]): Clock(*row) for row in clocks}, sets, receipts

    def top_node(self) -> int:
        """The highest number of a node."""
        return int(self.query("SELECT coalesce(max(number), 0) FROM node")[0][0])

    def add(self, rows: Sequence[Row]) -> list[Copy]:
        if not rows:
            return []
        for table, begin, end in {month(moment) for moment in {row.received_ms for row in rows}}:
            self._part(table, begin, end)
        try:
            self._live.execute("SAVEPOINT rows")
            self._copy_in(rows)
            return []
        except psycopg.errors.UniqueViolation:
            self._live.execute("ROLLBACK TO rows")
        sql = (
            "SELECT node, boot, seq FROM record_key "
            "JOIN unnest(?::int8[], ?::int8[], ?::int8[]) AS k (node, boot, seq) USING (node, boot, seq)"
        )
        taken = set(self._run(sql, [list(column) for column in zip(*(row[:3] for row in rows), strict=True)]))
        fresh: list[Row] = []
        again: list[Row] = []
        for row in rows:
            (again if row[:3] in taken else fresh).append(row)
            taken.add(row[:3])
        self._copy_in(fresh)
        # Of a record that was deleted since only its number is known.
        return [self.find(row) or Copy(row, True, RESEND_WINDOW + 1) for row in again]

    def _copy_in(self, rows: Sequence[Row]) -> None:
        with self._live.cursor() as cursor:
            with cursor.copy("COPY record_key (node, boot, seq) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_TYPES[:3])
                for row in rows:
                    copy.write_row(row[:3])
            with cursor.copy(f"COPY record ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_TYPES)
                for row in rows:
                    copy.write_row(row)

    def _part(self, table: str, begin: int, end: int) -> None:
        """The partition of a month; made beside the others, and then put among them, which holds up no reader."""
        if table in self._parts:
            return
        if not self._run("SELECT to_regclass(?) IS NOT NULL", (table,))[0][0]:
            self._run(f"CREATE TABLE {table} (LIKE record INCLUDING DEFAULTS)")
            self._run(f"ALTER TABLE record ATTACH PARTITION {table} FOR VALUES FROM ({begin}) TO ({end})")
        self._parts.add(table)


@contextlib.contextmanager
def _failures(name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        away = isinstance(error, psycopg.OperationalError) and gone(error)
        kind = StoreAway if away else StoreError
        raise kind(f"{name}: {said_by(error)}") from error


def empty_schema(url: str) -> str:
    """The schema that a store at `url` would lie in, of which nothing is there. Raises StoreError."""
    with _failures(url), psycopg.connect(url, **_CONNECTION) as connection:  # type: ignore[arg-type]
        sql = "SELECT current_schema(), (SELECT count(*) FROM pg_class WHERE relnamespace = {}::regnamespace)"
        name, count = connection.execute(sql.format("current_schema()").encode()).fetchone() or (None, 0)
    if name is None:
        raise StoreError(f"{url}: the schema of its search_path is not there; make it with CREATE SCHEMA")
    if count:
        raise StoreError(f"{url}: is not empty; name an empty database: a store is never overwritten")
    return str(name)


def _whole(library: Any) -> Any:
    class Whole(library.adapt.Loader):  # type: ignore[misc]
        def load(self, data: Any) -> int | float:
            text = bytes(data).decode()
            return float(text) if "." in text else int(text)

    return Whole
