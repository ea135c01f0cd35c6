"""The file with users, sessions, tokens and the audit trail: `access.sqlite` in the page's state folder."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from quaver.errors import AccessError
from quaver.files.private import data_path, replace_private
from quaver.files.private_base import open_private_base

VERSION = 1
NAME = "access.sqlite"
HEAD = "audit.head"
_PATIENCE_S = 10  # for another program that writes
NOT_CUT = "CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END"
_SCHEMA = f"""
CREATE TABLE user (
    name TEXT PRIMARY KEY,          -- as `users.user_name` writes it
    hash TEXT NOT NULL,             -- of the password, by Argon2id; '' for a user of an OpenID provider
    subject TEXT UNIQUE,            -- issuer and subject of an OpenID provider's user
    role TEXT NOT NULL,
    language TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    made REAL NOT NULL              -- s since 1970, as all times here
) STRICT;
CREATE TABLE session (
    key BLOB PRIMARY KEY,           -- SHA-256 of the secret that the browser keeps
    user TEXT NOT NULL REFERENCES user (name),
    began REAL NOT NULL, seen REAL NOT NULL
) STRICT;
CREATE TABLE token (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,       -- SHA-256 of the token
    user TEXT NOT NULL REFERENCES user (name),
    title TEXT NOT NULL,
    scopes TEXT NOT NULL,           -- divided by blanks
    made REAL NOT NULL, until REAL NOT NULL, used REAL
) STRICT;
CREATE TABLE failure (              -- failed logins, by what they have in common
    what TEXT PRIMARY KEY,
    count INTEGER NOT NULL, last REAL NOT NULL
) STRICT;
CREATE TABLE known (                -- from where users have logged in
    user TEXT NOT NULL REFERENCES user (name), address TEXT NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (user, address)
) STRICT;
CREATE TABLE first (                -- the one-time link for the first admin
    only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL, until REAL NOT NULL
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,     -- from 1, without a gap
    time_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, about TEXT NOT NULL,
    details TEXT NOT NULL,          -- JSON
    hash BLOB NOT NULL              -- SHA-256 over the former row's and this row
) STRICT;
CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;
{NOT_CUT};
"""


def default_folder() -> Path:
    """`QUAVER_PAGE`, or "page" in the user's data folder for "quaver"."""
    return data_path("QUAVER_PAGE", "page")


class Base:
    """The file, for all threads of a process: one writes at a time, among processes too. Raises AccessError.

    folder: made where it is missing. now: the date, s since 1970.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.path = folder / NAME
        self.head_path = folder / HEAD
        self.now = now
        self.head: bytes | None = None  # what `writing` puts into the second file when all is committed
        self._depth = 0
        self._writer_thread = 0
        self._write_turn, self._read_turn = threading.RLock(), threading.RLock()
        with self._failures():
            self._writer, self._reader = (
                open_private_base(self.path, _SCHEMA, VERSION, option="--state", failure=AccessError, shared=True)
                for _ in range(2)
            )
            self._writer.execute("PRAGMA journal_mode = WAL")
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                self._writer.execute(f"PRAGMA {pragma}")
            self._reader.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def forget(self) -> None:
        """Overwrite what was deleted in the file that SQLite keeps beside it; readers who are at it keep it a while."""
        with self._write_turn, self._failures():
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise AccessError(
                f"{self.path}: can't be used ({reason}); free disk space, or name another folder with --state", 503
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What is committed; inside of `writing` what is written."""
        if self._depth and self._writer_thread == threading.get_ident():
            yield self._writer
            return
        with self._read_turn, self._failures():
            yield self._reader

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, all of it or nothing; what is begun inside of one belongs to it."""
        with self._write_turn, self._failures():
            if self._depth:
                yield self._writer
                return
            with self._alone():
                self._writer.execute("BEGIN IMMEDIATE")
                self._depth, self._writer_thread, self.head = 1, threading.get_ident(), None
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    self._writer.execute("ROLLBACK")
                    raise
                finally:
                    self._depth = 0
                if self.head is not None:
                    replace_private(self.head_path, self.head)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process writes: the file's own lock ends before the head of the trail is written."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            end = time.monotonic() + _PATIENCE_S
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise AccessError(
                            f"{self.path}: another program writes it for long; try again later", 503
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)
