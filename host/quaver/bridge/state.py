"""How far each sink is, in one private SQLite file, on the disk before the bridge goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.errors import BridgeError
from quaver.files.private_base import open_private_base
from quaver.query.source import Place

VERSION = 1
_SCHEMA = """
CREATE TABLE sink (
    name TEXT PRIMARY KEY,
    place INTEGER NOT NULL, node INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    done INTEGER NOT NULL           -- messages that the sink has taken, up to that place
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE identity (name TEXT NOT NULL) STRICT;
INSERT INTO identity VALUES (lower(hex(randomblob(6))));
"""


class State:
    """One connection of one thread. Every method raises BridgeError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._failures():
            self._base = open_private_base(path, _SCHEMA, VERSION, option="`state`", failure=BridgeError)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")  # a power cut is survived, not only a kill

    def get(self, name: str) -> tuple[Place, int] | None:
        """(where the sink is, messages it has taken); None for a sink that is new."""
        with self._failures():
            row = self._base.execute("SELECT place, node, boot, seq, done FROM sink WHERE name = ?", (name,)).fetchone()
        return (Place(*row[:4]), row[4]) if row else None

    def put(self, name: str, place: Place, done: int) -> None:
        with self._failures():
            self._base.execute("INSERT OR REPLACE INTO sink VALUES (?, ?, ?, ?, ?, ?)", (name, *place, done))

    def count(self, name: str) -> int:
        """What was counted under a sink's name for it; 0 at first."""
        with self._failures():
            row = self._base.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def counts(self) -> dict[str, int]:
        """All that was counted, by name."""
        with self._failures():
            return dict(self._base.execute("SELECT name, value FROM counter ORDER BY name").fetchall())

    def set_count(self, name: str, value: int) -> None:
        self.set_counts({name: value})

    def set_counts(self, counts: Mapping[str, int]) -> None:
        """All of them or none."""
        with self._failures(), self._base:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", counts.items())

    @property
    def identity(self) -> str:
        """Names this bridge at a broker, for as long as the file lasts."""
        with self._failures():
            return str(self._base.execute("SELECT name FROM identity").fetchone()[0])

    def names(self) -> list[str]:
        with self._failures():
            return [row[0] for row in self._base.execute("SELECT name FROM sink ORDER BY name")]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BridgeError(f"{self.path}: {error}; free disk space, or name another file with `state`") from error

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
