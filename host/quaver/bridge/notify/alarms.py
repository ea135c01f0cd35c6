"""What each `[[notify]]` table has to tell and has told, in the bridge's state file: once, over kills and restarts.

A row is one alarm for one table. Its id comes from what began it, so a record that is handed over again after a kill
makes no second one, and tables that share an alarm share its id.
"""
# ruff: noqa: S608  all SQL is ours; what comes from outside is bound

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.alarms.conditions import Begin, End
from quaver.bridge.state import State

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarm (
    receiver TEXT NOT NULL,         -- the table's name
    id TEXT NOT NULL,
    via TEXT NOT NULL,              -- the table that it was escalated from, '' for one of its own
    what TEXT NOT NULL, level TEXT NOT NULL, node TEXT NOT NULL, topic TEXT NOT NULL, subject TEXT NOT NULL,
    major INTEGER NOT NULL, minor INTEGER NOT NULL,     -- the place of what was said last of the subject
    since_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,    -- when the bridge heard that it began, or ended
    facts TEXT NOT NULL,            -- JSON
    due_ms INTEGER,                 -- when it was to be told: from then on the time to escalation counts
    message TEXT,                   -- that tells it; '' where nothing is to be told any more
    ended_ms INTEGER,
    ended_to TEXT,                  -- the level it went to; NULL where the end is not told
    end_message TEXT,
    acknowledged_ms INTEGER, acknowledged_by TEXT,
    PRIMARY KEY (receiver, id, via)
) STRICT;
CREATE INDEX IF NOT EXISTS alarm_subject ON alarm (receiver, node, subject);
CREATE INDEX IF NOT EXISTS alarm_open ON alarm (receiver, since_ms) WHERE ended_ms IS NULL;
CREATE INDEX IF NOT EXISTS alarm_untold ON alarm (receiver, changed_ms) WHERE message IS NULL;
CREATE INDEX IF NOT EXISTS alarm_untold_end ON alarm (receiver, changed_ms)
    WHERE ended_to IS NOT NULL AND end_message IS NULL;
CREATE TABLE IF NOT EXISTS message (
    receiver TEXT NOT NULL, id TEXT NOT NULL, made_ms INTEGER NOT NULL, sent_ms INTEGER, PRIMARY KEY (receiver, id)
) STRICT;
CREATE TABLE IF NOT EXISTS counted (    -- what the ledger and the refusals came to when it was told last
    receiver TEXT NOT NULL, key TEXT NOT NULL, count INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (receiver, key)
) STRICT;
"""
_UNTOLD = "message IS NULL"
_UNTOLD_END = "ended_to IS NOT NULL AND end_message IS NULL AND message <> ''"
_REPEATED = ("gaps", "security")
_BEGUN = "receiver, id, via, what, level, node, topic, subject, major, minor, since_ms, changed_ms, facts"
_KEPT_MS = 30 * 86_400_000  # what is over stays so long, for who looks back
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Alarm:
    """One row, as a message and a list show it. news: the message tells that it began, not its end alone."""

    id: str
    via: str
    what: str
    level: str
    node: str
    topic: str
    subject: str
    since_ms: int
    facts: dict[str, Any]
    ended_ms: int | None
    ended_to: str | None
    acknowledged_ms: int | None
    acknowledged_by: str | None
    news: bool = True

    @property
    def over(self) -> bool:
        return self.ended_ms is not None


_COLUMNS = (
    "id, via, what, level, node, topic, subject, since_ms, facts, ended_ms, ended_to, acknowledged_ms, acknowledged_by"
)


def _alarm(row: sqlite3.Row, news: bool = True) -> Alarm:
    values = dict(row)
    values.pop("news", None)
    return Alarm(**values | {"facts": json.loads(row["facts"])}, news=news)


def _id(begin: Begin) -> str:
    text = "|".join(map(str, (begin.node, begin.subject, begin.level, *begin.order)))
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:8].decode().lower()


class Alarms(State):
    """The rows of one table, or, with receiver "", of all. Of one thread; everything raises BridgeError."""

    def __init__(self, path: Path, receiver: str = "") -> None:
        super().__init__(path)
        self.receiver = receiver
        with self._failures():
            for statement in _SCHEMA.split(";\n"):
                self._base.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is on the disk afterwards, or nothing of it."""
        with self._failures():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def _do(self, sql: str, *values: Any) -> int:
        with self._failures():
            return self._base.execute(sql, values).rowcount

    def _ask(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._failures():
            return self._base.execute(sql, values).fetchall()

    # What begins and ends.

    def begin(self, begin: Begin, now_ms: int) -> None:
        """Note what has begun, unless it is noted, goes on already, or something later is known of its subject."""
        mine = "receiver = ? AND via = '' AND node = ? AND subject = ?"
        of = (self.receiver, begin.node, begin.subject)
        name = _id(begin)
        later = "((major, minor) > (?, ?) OR id = ?)"  # the same place has also what a change of level has ended
        if self._ask(f"SELECT 1 FROM alarm WHERE {mine} AND {later} LIMIT 1", *of, *begin.order, name):
            return
        facts = dict(begin.facts)
        columns = "id, what, level, message, facts"
        for row in self._ask(f"SELECT {columns} FROM alarm WHERE {mine} AND ended_ms IS NULL", *of):
            known = json.loads(row["facts"])
            if row["what"] in _REPEATED:  # each tells more of the same; what is not told yet becomes one
                if row["message"] is None and row["what"] == "security":
                    facts["count"] += known["count"]
            elif (row["level"], known.get("subject")) == (begin.level, facts.get("subject")):
                # Told again, as after a restart of the node.
                self._do(
                    "UPDATE alarm SET major = ?, minor = ? WHERE receiver = ? AND via = '' AND id = ?",
                    *begin.order, self.receiver, row["id"],
                )  # fmt: skip
                return
            self._do(
                "UPDATE alarm SET ended_ms = ?, message = coalesce(message, '') "
                "WHERE receiver = ? AND via = '' AND id = ?",
                begin.since_ms, self.receiver, row["id"],
            )  # fmt: skip
        self._do(
            f"INSERT OR IGNORE INTO alarm ({_BEGUN}) VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.receiver, name, begin.what, begin.level, begin.node, begin.topic, begin.subject, *begin.order,
            begin.since_ms, now_ms, json.dumps(facts, ensure_ascii=False),
        )  # fmt: skip

    def end(self, end: End, now_ms: int, tell: bool) -> None:
        """Note what has ended. tell: whether a message says so; a level that rises has its next message anyway."""
        subject, of = (
            ("substr(subject, 1, length(?1)) = ?1", end.subject) if end.all_of else ("subject = ?1", end.subject)
        )
        self._do(
            "UPDATE alarm SET ended_ms = max(?2, since_ms), changed_ms = ?3, major = ?8, minor = ?9, "
            "ended_to = CASE WHEN ?4 AND (?5 = 'ok' OR level = 'alarm') THEN ?5 END, "
            "message = CASE WHEN ?5 = 'alarm' THEN coalesce(message, '') ELSE message END "
            f"WHERE {subject} AND receiver = ?6 AND via = '' AND node = ?7 AND ended_ms IS NULL AND level <> ?5 "
            "AND (major, minor) < (?8, ?9) AND (?10 IS NULL OR major < ?10)",
            of, end.at_ms, now_ms, tell, end.to, self.receiver, end.node, *end.order, end.boot,
        )  # fmt: skip

    def open(self) -> list[Alarm]:
        """What goes on and was not taken back, the oldest first."""
        where = "ended_ms IS NULL AND (?1 = '' OR receiver = ?1)"
        rows = self._ask(f"SELECT {_COLUMNS} FROM alarm WHERE {where} ORDER BY since_ms, id", self.receiver)
        return [_alarm(row) for row in rows]

    def is_open(self, node: str, subject: str) -> bool:
        sql = "SELECT 1 FROM alarm WHERE receiver = ? AND via = '' AND node = ? AND subject = ? AND ended_ms IS NULL"
        return bool(self._ask(sql, self.receiver, node, subject))

    def acknowledge(self, alarm: str | None, who: str, now_ms: int) -> int:
        """Somebody looks after the alarm of that id, None for all that go on, in every table. How many alarms.

        What has no end of its own is over with that.
        """
        with self.transaction():
            where = "ended_ms IS NULL AND acknowledged_ms IS NULL AND (?1 IS NULL OR id = ?1)"
            count: int = self._ask(f"SELECT count(DISTINCT id) FROM alarm WHERE {where}", alarm)[0][0]
            self._do(
                "UPDATE alarm SET acknowledged_ms = ?2, acknowledged_by = ?3, "
                f"ended_ms = CASE WHEN what IN ('gaps', 'security') THEN ?2 END WHERE {where}",
                alarm, now_ms, who,
            )  # fmt: skip
        return count

    def untold(self) -> int:
        """How many alarms wait to be told."""
        sql = (
            "SELECT count(*) FROM alarm a LEFT JOIN message m ON m.receiver = a.receiver AND m.id = a.message "
            "WHERE a.receiver = ? AND (a.message IS NULL OR (m.id IS NOT NULL AND m.sent_ms IS NULL))"
        )
        return int(self._ask(sql, self.receiver)[0][0])

    def find(self, alarm: str) -> Alarm | None:
        """Any table's row of that id."""
        found = self._ask(f"SELECT {_COLUMNS} FROM alarm WHERE id = ? ORDER BY via LIMIT 1", alarm)
        return _alarm(found[0]) if found else None

    # What is counted elsewhere.

    def counted(self, key: str) -> tuple[int, int] | None:
        """(count, when) that was told last of `key`."""
        found = self._ask("SELECT count, at_ms FROM counted WHERE receiver = ? AND key = ?", self.receiver, key)
        return (found[0][0], found[0][1]) if found else None

    def put_count(self, key: str, count: int, now_ms: int) -> None:
        self._do("INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?)", self.receiver, key, count, now_ms)

    # What goes out.

    def escalate(self, source: str, after_ms: int, now_ms: int) -> None:
        """Take over what table `source` was to tell so long ago, and nobody has acknowledged; ends as it does there."""
        self._do(
            f"INSERT OR IGNORE INTO alarm ({_BEGUN}) "
            "SELECT ?1, id, receiver, what, level, node, topic, subject, major, minor, since_ms, ?4, facts FROM alarm "
            "WHERE receiver = ?2 AND due_ms + ?3 <= ?4 AND acknowledged_ms IS NULL AND ended_ms IS NULL "
            "AND what <> 'warnings' GROUP BY id",
            self.receiver, source, after_ms, now_ms,
        )  # fmt: skip
        self._do(
            "UPDATE alarm SET ended_ms = s.ended_ms, changed_ms = ?3, ended_to = s.ended_to, "
            "message = coalesce(alarm.message, '') FROM alarm s WHERE alarm.receiver = ?1 AND alarm.via = ?2 "
            "AND s.receiver = ?2 AND s.id = alarm.id AND alarm.ended_ms IS NULL AND s.ended_ms IS NOT NULL",
            self.receiver, source, now_ms,
        )  # fmt: skip
        self._do(  # taken care of before it was told here
            "UPDATE alarm SET message = '' WHERE receiver = ? AND via <> '' AND message IS NULL "
            "AND acknowledged_ms IS NOT NULL",
            self.receiver,
        )  # fmt: skip

    def waiting_since(self, alarms_alone: bool) -> int | None:
        """When the first of what is to be told was heard, None for nothing. alarms_alone: what passes quiet hours."""
        more = "AND level = 'alarm' AND ended_ms IS NULL" if alarms_alone else ""
        oldest = "SELECT min(changed_ms) FROM alarm WHERE receiver = ? AND"
        found = [self._ask(f"{oldest} {_UNTOLD} {more}", self.receiver)[0][0]]
        if not alarms_alone:
            found.append(self._ask(f"{oldest} {_UNTOLD_END}", self.receiver)[0][0])
        return min((when for when in found if when is not None), default=None)

    def make_due(self, alarms_alone: bool, now_ms: int) -> None:
        more = "AND level = 'alarm' AND ended_ms IS NULL" if alarms_alone else ""
        self._do(
            f"UPDATE alarm SET due_ms = ? WHERE receiver = ? AND {_UNTOLD} AND due_ms IS NULL {more}",
            now_ms, self.receiver,
        )  # fmt: skip

    def sent_within_an_hour(self, now_ms: int) -> int:
        sql = "SELECT count(*) FROM message WHERE receiver = ? AND sent_ms > ?"
        return int(self._ask(sql, self.receiver, now_ms - _HOUR_MS)[0][0])

    def outgoing(self) -> tuple[str, int] | None:
        """(id, when it was made) of the message that is not sent yet."""
        found = self._ask("SELECT id, made_ms FROM message WHERE receiver = ? AND sent_ms IS NULL", self.receiver)
        return (found[0][0], found[0][1]) if found else None

    def compose(self, message: str, alarms_alone: bool, now_ms: int) -> None:
        """Put all that is due into one message."""
        with self.transaction():
            self._do("INSERT INTO message VALUES (?, ?, ?, NULL)", self.receiver, message, now_ms)
            if not alarms_alone:
                told = "UPDATE alarm SET end_message = ? WHERE receiver = ? AND"
                self._do(f"{told} {_UNTOLD_END}", message, self.receiver)
            self._do(
                "UPDATE alarm SET message = ?1, end_message = CASE WHEN ended_ms IS NULL THEN NULL ELSE ?1 END "
                f"WHERE receiver = ?2 AND {_UNTOLD} AND due_ms IS NOT NULL",
                message, self.receiver,
            )  # fmt: skip

    def told_by(self, message: str, most: int) -> tuple[list[Alarm], int]:
        """What a message tells, the gravest first, `most` of it; and how many there are."""
        where = "receiver = ?1 AND (message = ?2 OR end_message = ?2)"
        count: int = self._ask(f"SELECT count(*) FROM alarm WHERE {where}", self.receiver, message)[0][0]
        rows = self._ask(
            f"SELECT {_COLUMNS}, message = ?2 AS news FROM alarm WHERE {where} "
            "ORDER BY ended_ms IS NOT NULL, level, topic, since_ms, id LIMIT ?3",
            self.receiver, message, most,
        )  # fmt: skip
        return [_alarm(row, bool(row["news"])) for row in rows], count

    def sent(self, message: str, now_ms: int) -> None:
        """Note that a message has gone out; what is long over goes."""
        with self.transaction():
            self._do("UPDATE message SET sent_ms = ? WHERE receiver = ? AND id = ?", now_ms, self.receiver, message)
            self._do("DELETE FROM message WHERE receiver = ? AND sent_ms < ?", self.receiver, now_ms - _HOUR_MS)
            self._do(
                "DELETE FROM alarm WHERE receiver = ? AND changed_ms < ? AND message IS NOT NULL "
                "AND (ended_ms IS NOT NULL OR what IN ('gaps', 'security'))",
                self.receiver, now_ms - _KEPT_MS,
            )  # fmt: skip
