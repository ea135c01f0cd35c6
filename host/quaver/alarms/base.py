"""The alarms in one private SQLite file: what each is, every transition with who and when, and how far it has read.

One row an alarm, which is a node and a subject; it is never deleted. A transition is only ever added. Times are in ms
since 1970: `at_ms` when it happened by its own record, `noted_ms` when it was heard of here.
"""
# ruff: noqa: S608  all SQL is ours; what comes from outside is bound

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.alarms.states import HIDDEN, OUT, SHELVED, Act, State
from quaver.alarms.tables import PRIORITIES
from quaver.errors import AlarmError
from quaver.files.private_base import open_private_base
from quaver.query.source import Place

VERSION = 1
REMOVED = "removed user"  # no user has that name: it has a blank
_SCHEMA = """
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY,
    node TEXT NOT NULL, subject TEXT NOT NULL, topic TEXT NOT NULL,
    state TEXT NOT NULL, level TEXT NOT NULL, priority TEXT NOT NULL,
    active INTEGER NOT NULL,        -- whether it is wrong now, whatever the state hides
    unseen INTEGER NOT NULL,        -- whether it was raised since a person saw it last
    major INTEGER NOT NULL, minor INTEGER NOT NULL,     -- the place of what was said last of it
    since_ms INTEGER NOT NULL,      -- when it was raised, the last time
    cleared_ms INTEGER,
    acknowledged_ms INTEGER, acknowledged_by TEXT,
    until_ms INTEGER,               -- the end of a shelf, or the review of what is out of service
    held_by TEXT, held_why TEXT,    -- who put it there, and why
    cause TEXT,                     -- the one that was named last, of alarms.tables
    facts TEXT NOT NULL,            -- JSON, of the condition
    UNIQUE (node, subject)
) STRICT;
CREATE INDEX alarm_state ON alarm (state);
CREATE TABLE transition (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, noted_ms INTEGER NOT NULL,
    act TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    level TEXT NOT NULL,
    active INTEGER NOT NULL,        -- afterwards
    who TEXT NOT NULL,              -- '' where it was nobody
    why TEXT NOT NULL,
    boot INTEGER, seq INTEGER       -- of the record that said it
) STRICT;
CREATE INDEX transition_alarm ON transition (alarm, number);
CREATE INDEX transition_at ON transition (at_ms);
CREATE TABLE comment (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm INTEGER NOT NULL, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
    text TEXT NOT NULL, cause TEXT, work_order TEXT NOT NULL
) STRICT;
CREATE INDEX comment_alarm ON comment (alarm, number);
CREATE TABLE ended (                -- what was last told to be over, for what comes late
    node TEXT NOT NULL, subject TEXT NOT NULL, all_of INTEGER NOT NULL,
    boot INTEGER, major INTEGER NOT NULL, minor INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (node, subject, all_of)
) STRICT;
CREATE TABLE heard (
    node TEXT PRIMARY KEY,
    topic TEXT NOT NULL, at_ms INTEGER NOT NULL, row INTEGER NOT NULL, interval_s REAL NOT NULL,
    state TEXT NOT NULL, role TEXT NOT NULL
) STRICT;
CREATE TABLE reader (               -- one row: behind which record of the store this is
    place INTEGER NOT NULL, node INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL
) STRICT;
INSERT INTO reader VALUES (0, 0, 0, 0);
CREATE TABLE security (             -- what somebody tried that is not theirs, or changed in what protects; bounded
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL, noted_ms INTEGER NOT NULL,
    source TEXT NOT NULL,           -- ingest, node or page
    node TEXT NOT NULL, name TEXT NOT NULL,
    what TEXT NOT NULL, who TEXT NOT NULL,
    count INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX security_at ON security (at_ms);
CREATE TABLE counted (              -- up to where another counter was read
    name TEXT PRIMARY KEY, count INTEGER NOT NULL
) STRICT;
"""
_RECORDS = 20  # of an alarm, as its JSON lists them
_LISTED = 1000
_ORDER = (
    "CASE state WHEN 'unack-active' THEN 0 WHEN 'ack-active' THEN 1 WHEN 'unack-cleared' THEN 2 "
    "WHEN 'normal' THEN 4 ELSE 3 END, "
    f"CASE priority WHEN '{PRIORITIES[0]}' THEN 0 WHEN '{PRIORITIES[1]}' THEN 1 ELSE 2 END, since_ms DESC, id"
)


@dataclass
class Alarm:
    """One row. facts: as in alarms.conditions.Begin."""

    id: int
    node: str
    subject: str
    topic: str
    state: State
    level: str
    priority: str
    active: bool
    unseen: bool
    major: int
    minor: int
    since_ms: int
    cleared_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    until_ms: int | None = None
    held_by: str | None = None
    held_why: str | None = None
    cause: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        return self.major, self.minor


_COLUMNS = tuple(Alarm.__dataclass_fields__)
_CHOSEN = ", ".join(_COLUMNS)


@dataclass(frozen=True)
class Transition:
    number: int
    alarm: int
    at_ms: int
    noted_ms: int
    act: str
    before: State
    after: State
    level: str
    active: bool
    who: str
    why: str
    boot: int | None
    seq: int | None


@dataclass(frozen=True)
class Comment:
    who: str
    when_ms: int
    text: str
    cause: str | None
    work_order: str


def _alarm(row: sqlite3.Row) -> Alarm:
    values = dict(row)
    facts = json.loads(values["facts"])
    return Alarm(**values | {"facts": facts, "active": bool(row["active"]), "unseen": bool(row["unseen"])})


class Base:
    """One connection, for any thread: each call has it alone. Every method raises AlarmError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        with self._failures():
            self._base = open_private_base(
                path, _SCHEMA, VERSION, option="the folder of the state", failure=AlarmError, shared=True
            )
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")  # a power cut is survived, not only a kill

    @contextmanager
    def _failures(self) -> Iterator[None]:
        with self._turn:
            try:
                yield
            except sqlite3.Error as error:
                raise AlarmError(f"{self.path}: {error}; free disk space, or name another folder") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that happens inside is on the disk afterwards, or nothing of it."""
        with self._failures():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    def _do(self, sql: str, *values: Any) -> int:
        with self._failures():
            return int(self._base.execute(sql, values).lastrowid or 0)

    def _ask(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._failures():
            return self._base.execute(sql, values).fetchall()

    def close(self) -> None:
        with self._turn:
            self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What is there.

    @property
    def place(self) -> Place:
        """Behind which record of the store everything is taken."""
        return Place(*self._ask("SELECT place, node, boot, seq FROM reader")[0])

    def get(self, number: int) -> Alarm:
        found = self._ask(f"SELECT {_CHOSEN} FROM alarm WHERE id = ?", number)
        if not found:
            raise AlarmError(f"there is no alarm {number}; look at the list for its number", 404)
        return _alarm(found[0])

    def find(self, node: str, subject: str) -> Alarm | None:
        found = self._ask(f"SELECT {_CHOSEN} FROM alarm WHERE node = ? AND subject = ?", node, subject)
        return _alarm(found[0]) if found else None

    def listed(
        self, states: Sequence[State] = (), node: str | None = None, limit: int = _LISTED, offset: int = 0
    ) -> list[Alarm]:
        """The worst first: what nobody has acknowledged, by priority, the newest first. states: () all but normal."""
        marks = ", ".join("?" * len(states)) if states else "'normal'"
        where = f"state {'' if states else 'NOT '}IN ({marks})"
        values: list[Any] = list(states)
        if node is not None:
            where += " AND node = ?"
            values.append(node)
        sql = f"SELECT {_CHOSEN} FROM alarm WHERE {where} ORDER BY {_ORDER} LIMIT ? OFFSET ?"
        return [_alarm(row) for row in self._ask(sql, *values, min(limit, _LISTED), offset)]

    def counts(self) -> dict[str, int]:
        """How many alarms are in each state."""
        return dict(self._ask("SELECT state, count(*) FROM alarm GROUP BY state ORDER BY state"))  # type: ignore[arg-type]

    def standing(self) -> dict[str, int]:
        """How many alarms of each node are neither normal nor put aside."""
        hidden = ", ".join(f"'{state}'" for state in HIDDEN)
        return dict(
            self._ask(f"SELECT node, count(*) FROM alarm WHERE state NOT IN ('normal', {hidden}) GROUP BY node")  # type: ignore[arg-type]
        )

    def history(self, alarm: int, limit: int = 200) -> list[Transition]:
        """The newest first."""
        rows = self._ask("SELECT * FROM transition WHERE alarm = ? ORDER BY number DESC LIMIT ?", alarm, limit)
        return [Transition(**dict(row) | {"active": bool(row["active"])}) for row in rows]

    def comments(self, alarm: int) -> list[Comment]:
        sql = "SELECT who, at_ms AS when_ms, text, cause, work_order FROM comment WHERE alarm = ? ORDER BY number"
        return [Comment(**dict(row)) for row in self._ask(sql, alarm)]

    def records(self, alarm: int) -> list[tuple[int, int]]:
        """(boot, seq) of the newest records that said something of it, the newest first."""
        sql = "SELECT boot, seq FROM transition WHERE alarm = ? AND boot IS NOT NULL ORDER BY number DESC LIMIT ?"
        return [(row[0], row[1]) for row in self._ask(sql, alarm, _RECORDS)]

    def transitions(self, since_ms: int, until_ms: int) -> list[tuple[Transition, Alarm]]:
        """All that happened before until_ms to what was wrong or changed since since_ms, as it was noted.

        Each with its alarm as it is now.
        """
        known: dict[int, Alarm] = {}
        found = []
        sql = (
            "SELECT * FROM transition WHERE alarm IN (SELECT alarm FROM transition WHERE at_ms >= ?1 "
            "UNION SELECT id FROM alarm WHERE active) AND at_ms < ?2 ORDER BY number"
        )
        for row in self._ask(sql, since_ms, until_ms):
            if row["alarm"] not in known:
                known[row["alarm"]] = self.get(row["alarm"])
            found.append((Transition(**dict(row) | {"active": bool(row["active"])}), known[row["alarm"]]))
        return found

    # What changes; inside a transaction.

    def _insert(self, alarm: Alarm) -> None:
        values = [json.dumps(alarm.facts) if name == "facts" else getattr(alarm, name) for name in _COLUMNS[1:]]
        marks = ", ".join("?" * len(values))
        alarm.id = self._do(f"INSERT INTO alarm ({', '.join(_COLUMNS[1:])}) VALUES ({marks})", *values)

    def _update(self, alarm: Alarm) -> None:
        values = [json.dumps(alarm.facts) if name == "facts" else getattr(alarm, name) for name in _COLUMNS[1:]]
        names = ", ".join(f"{name} = ?" for name in _COLUMNS[1:])
        self._do(f"UPDATE alarm SET {names} WHERE id = ?", *values, alarm.id)

    def _note(
        self, alarm: Alarm, act: Act | str, before: State, at_ms: int, now_ms: int,
        who: str = "", why: str = "", record: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Add a transition: `alarm` is as it is afterwards."""
        self._do(
            "INSERT INTO transition (alarm, at_ms, noted_ms, act, before, after, level, active, who, why, boot, seq) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            alarm.id, at_ms, now_ms, act, before, alarm.state, alarm.level, alarm.active, who, why,
            *(record or (None, None)),
        )  # fmt: skip

    def _due(self, now_ms: int) -> list[Alarm]:
        """The shelves that have come to their end."""
        sql = f"SELECT {_CHOSEN} FROM alarm WHERE state = '{SHELVED}' AND until_ms <= ? ORDER BY until_ms"
        return [_alarm(row) for row in self._ask(sql, now_ms)]

    def reviews(self, now_ms: int) -> list[Alarm]:
        """What is out of service, and was to be looked at by now."""
        sql = f"SELECT {_CHOSEN} FROM alarm WHERE state = '{OUT}' AND until_ms <= ? ORDER BY until_ms"
        return [_alarm(row) for row in self._ask(sql, now_ms)]


def forget_person(path: Path, name: str) -> int:
    """Put REMOVED in the place of a user's name, everywhere in the file: in how many rows. 0 where there is no file.

    What the user has written themselves, in comments and reasons, stays. What the page's audit trail told of the user
    is deleted; a row that it tells later, of the removal itself, goes by `forget_audited`. Raises AlarmError.
    """
    if not path.exists():
        return 0
    columns = (
        ("alarm", "acknowledged_by"),
        ("alarm", "held_by"),
        ("transition", "who"),
        ("comment", "who"),
        ("security", "who"),
    )
    with _forgetting(path) as base, base._transaction():
        about = "source = 'page' AND (detail = ? OR detail LIKE ? || ' %')"
        changed = base._base.execute(f"DELETE FROM security WHERE {about}", (name, name)).rowcount
        changed += sum(
            base._base.execute(f'UPDATE "{table}" SET {column} = ? WHERE {column} = ?', (REMOVED, name)).rowcount
            for table, column in columns
        )
    return changed


def forget_audited(path: Path, before_ms: int) -> None:
    """Delete what the page's audit trail told before a date, as the trail does. Raises AlarmError."""
    if path.exists():
        with _forgetting(path) as base:
            base._do("DELETE FROM security WHERE source = 'page' AND at_ms < ?", before_ms)


@contextmanager
def _forgetting(path: Path) -> Iterator[Base]:
    """What is deleted meanwhile is overwritten, in the file that SQLite keeps beside it too."""
    with Base(path) as base:
        base._do("PRAGMA secure_delete = ON")
        yield base
        base._ask("PRAGMA wal_checkpoint(TRUNCATE)")
