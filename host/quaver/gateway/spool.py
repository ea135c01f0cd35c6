"""Waiting messages of a host's gateway, both ways, in one SQLite file: records for the broker, commands for nodes.

Chunks of releases are kept there too, the newest 16,384 of them (16 MB).

Each verb that takes something returns when it is on the disk (`synchronous` FULL). What is sealed stays so. Nothing is
given up for want of room: a full disk takes no more, and the nodes keep what they have.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from quaver.errors import StoreBusy, StoreError
from quaver.system.identity import home, is_copy
from quaver.system.locks import holder

_APPLICATION = 0x51766731  # "Qvg1"
_COMMANDS_MAX = 16  # for one node
_BUSY_S = 2.0  # longer, and what listens to nodes stands still
_OPEN_S = 10.0
_CHUNKS_MAX = 16384
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE record (number INTEGER PRIMARY KEY AUTOINCREMENT, later INTEGER NOT NULL, node BLOB NOT NULL,
                     class TEXT NOT NULL, message BLOB NOT NULL);
CREATE INDEX turn ON record (later, number);
CREATE TABLE command (number INTEGER PRIMARY KEY AUTOINCREMENT, node BLOB NOT NULL, message BLOB NOT NULL);
"""
_CHUNKS = """
CREATE TABLE IF NOT EXISTS chunk (number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL,
                                  part INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (content, part));
"""  # files of an older version have none


class Waiting(NamedTuple):
    """A record on its way: whose it is (8 bytes), its class, and its bytes as the node gave them."""

    number: int
    node: bytes
    message_class: str
    message: bytes


def _new_client_id() -> str:
    return f"quaver-gateway-{secrets.token_hex(6)}"


class Spool:
    """path: made when it is missing; one gateway a file. Verbs may be called from any thread. Raises StoreError.

    boot: counts the starts. copied: the file is a copy of another gateway's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: can't be opened ({error.strerror}); name a file in a folder of yours") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = sqlite3.connect(path, timeout=_OPEN_S, isolation_level=None, check_same_thread=False)
        except OSError as error:
            os.close(self._file)
            raise StoreError(f"{path}: another quaver gateway uses it; stop that one, or name another file") from error
        try:
            self._open()
            self.boot = self._count_boot()
            self.copied = self._settle()
            self._ask(f"PRAGMA busy_timeout = {1000 * _BUSY_S:.0f}")
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        with self._failures():
            application = self._db.execute("PRAGMA application_id").fetchone()[0]
            empty = not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            if application != _APPLICATION and not empty:
                raise StoreError(f"{self.path}: is not a gateway's store; name another file")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            if empty:
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION}; COMMIT;")
                self._change("INSERT INTO meta VALUES ('client_id', ?), ('boot', 0)", (_new_client_id(),))
            self._db.execute(_CHUNKS)

    def _settle(self) -> bool:
        """Whether this file was copied from one that another gateway may have: it takes an id of its own then."""
        kept = self._ask("SELECT value FROM meta WHERE name = 'home'")
        if kept and is_copy(self.path, kept[0][0]):
            self._change("UPDATE meta SET value = ? WHERE name = 'client_id'", (_new_client_id(),))
            self._change("INSERT OR REPLACE INTO meta VALUES ('copied', 1)")
        self._change("INSERT OR REPLACE INTO meta VALUES ('home', ?)", (home(self.path),))
        return bool(self._ask("SELECT 1 FROM meta WHERE name = 'copied'"))

    def _count_boot(self) -> int:
        """This start's number, on the disk before it is used: it is part of every nonce."""
        self._change("UPDATE meta SET value = value + 1 WHERE name = 'boot'")
        return int(self._ask("SELECT value FROM meta WHERE name = 'boot'")[0][0])

    @property
    def client_id(self) -> str:
        """Names the session at the broker that keeps commands for this gateway."""
        return str(self._ask("SELECT value FROM meta WHERE name = 'client_id'")[0][0])

    @contextlib.contextmanager
    def _failures(self) -> Any:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                raise StoreBusy(f"{self.path}: {holder(self.path)} has locked it; stop that program") from error
            if code == sqlite3.SQLITE_NOTADB:
                raise StoreError(f"{self.path}: is not an SQLite file; name another") from error
            raise StoreError(f"{self.path}: {error}; free disk space, or name another file") from error

    def _change(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._lock, self._failures():
            self._db.execute(sql, values)

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._failures():
            return self._db.execute(sql, values).fetchall()

    # Up.

    def put(self, node: bytes, message_class: str, message: bytes) -> None:
        """Keep a record; it is on the disk when this returns."""
        self._change(
            "INSERT INTO record (later, node, class, message) VALUES (?, ?, ?, ?)",
            (message_class == "telemetry", node, message_class, message),
        )

    def first(self, count: int, nodes: Sequence[bytes]) -> list[Waiting]:
        """The records of `nodes` to send next: events, statuses, answers before telemetry, each oldest first."""
        marks = ", ".join("?" * len(nodes))
        rows = self._ask(
            "SELECT number, node, class, message FROM record "  # noqa: S608  the marks are ours
            f"WHERE node IN ({marks}) ORDER BY later, number LIMIT ?",
            (*nodes, count),
        )
        return [Waiting(*row) for row in rows]

    def done(self, numbers: Iterable[int]) -> None:
        """The broker has these."""
        with self._lock, self._failures():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("DELETE FROM record WHERE number = ?", [(number,) for number in numbers])
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def __len__(self) -> int:
        return int(self._ask("SELECT count(*) FROM record")[0][0])

    # Down.

    def command(self, node: bytes, message: bytes) -> None:
        """Keep a command; of too many for one node the oldest goes."""
        self._change("INSERT INTO command (node, message) VALUES (?, ?)", (node, message))
        self._change(
            "DELETE FROM command WHERE node = ? AND number NOT IN "
            "(SELECT number FROM command WHERE node = ? ORDER BY number DESC LIMIT ?)",
            (node, node, _COMMANDS_MAX),
        )

    def commands(self, node: bytes) -> list[tuple[int, bytes]]:
        """(number, message) of a node's commands, oldest first."""
        rows = self._ask("SELECT number, message FROM command WHERE node = ? ORDER BY number", (node,))
        return [(number, message) for number, message in rows]

    def commanded(self) -> dict[bytes, int]:
        """How many commands wait for each node that has any."""
        return dict(self._ask("SELECT node, count(*) FROM command GROUP BY node"))

    def sent(self, numbers: Iterable[int]) -> None:
        """These have reached their node."""
        for number in numbers:
            self._change("DELETE FROM command WHERE number = ?", (number,))

    # Chunks of releases.

    def chunk(self, content: bytes, part: int) -> bytes | None:
        """That chunk of the content whose SHA-256 begins so, if it is kept."""
        rows = self._ask("SELECT data FROM chunk WHERE content = ? AND part = ?", (content, part))
        return bytes(rows[0][0]) if rows else None

    def keep(self, content: bytes, part: int, data: bytes) -> None:
        """Keep a chunk; of too many the oldest goes."""
        self._change("INSERT OR REPLACE INTO chunk (content, part, data) VALUES (?, ?, ?)", (content, part, data))
        self._change("DELETE FROM chunk WHERE number <= (SELECT max(number) FROM chunk) - ?", (_CHUNKS_MAX,))

    def check(self, content: bytes) -> None:
        """Keep no more of that content unless it is whole and right."""
        rows = self._ask("SELECT data FROM chunk WHERE content = ? ORDER BY part", (content,))
        if not hashlib.sha256(b"".join(row[0] for row in rows)).digest().startswith(content):
            self._change("DELETE FROM chunk WHERE content = ?", (content,))

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
