"""Security events as one stream: what ingest refused, what nodes refused or tell of their keys, what the page did.

Each is taken once, in the order in which it was heard of, and has a number; who forwards them keeps how far they are.
"""
# ruff: noqa: S608  all SQL is ours; what comes from outside is bound

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from quaver.alarms.base import Base
from quaver.messages.record import one_line
from quaver.query.health import Refusal
from quaver.query.source import Reading

KEPT = 100_000  # the newest; of older ones it is counted how many were never forwarded
_EVENTS = ("message_refused", "key_announced", "update_rejected", "config_rejected", "random_failed")
WARNING, NOTICE, INFO = 4, 5, 6  # severities of RFC 5424, table 2
_SEVERITY = {"key_announced": NOTICE}  # of the rest of what nodes and ingest tell: a warning


@dataclass(frozen=True)
class SecurityEvent:
    """source: ingest, node or page. what: the reason of a refusal, the event of a node, the act of a user.

    name: the node's, "" where it is none of the store. count: how often, since the last one of its kind was told.
    who: a user of the page, "" for none.
    """

    number: int
    at_ms: int
    noted_ms: int
    source: str
    node: str
    name: str
    what: str
    who: str
    count: int
    detail: str

    @property
    def severity(self) -> int:
        """Of RFC 5424, table 2."""
        if self.source == "page":
            return WARNING if "refused" in self.what or "broken" in self.what else INFO
        return _SEVERITY.get(self.what, WARNING)


class Security(Base):
    """The stream in the base of the alarms."""

    def _secure(self, reading: Reading, now_ms: int) -> None:
        """Take what a record says of it; inside a transaction."""
        values = reading.values
        code = values.get("code")
        if reading.kind != "event" or code not in _EVENTS:
            return
        count = values.get("count")
        detail = one_line(" ".join(str(values[key]) for key in ("subject", "text", "generation") if values.get(key)))
        when = reading.received_ms if reading.time_ms is None else reading.time_ms
        self._add(when, now_ms, "node", reading.node, reading.name, str(code), "",
                  count if isinstance(count, int) and count > 0 else 1, detail)  # fmt: skip

    def refusals(self, found: Iterable[Refusal], now_ms: int) -> int:
        """Take by how much ingest's counters have grown; how many of them have."""
        known = self._counted("refused ")
        grown = [one for one in found if one.count > known.get(f"refused {one.node} {one.reason}", 0)]
        if grown:
            with self._transaction():
                for one in sorted(grown, key=lambda one: (one.last_ms, one.node, one.reason)):
                    name = f"refused {one.node} {one.reason}"
                    new = one.count - known.get(name, 0)
                    self._add(one.last_ms, now_ms, "ingest", one.node, one.name, one.reason, "", new,
                              one_line(one.detail))  # fmt: skip
                    self._count(name, one.count)
        return len(grown)

    def audited(self, rows: Iterable[Any], now_ms: int) -> int:
        """Take the rows of the page's audit trail behind those that were taken, in any order; how many.

        rows: each has number, time_ms, who, what, about and details.
        """
        at = self._counted("audit").get("audit", 0)
        new = sorted((row for row in rows if row.number > at), key=lambda row: row.number)
        if new:
            with self._transaction():
                for row in new:
                    self._add(row.time_ms, now_ms, "page", "", "", one_line(row.what), row.who, 1,
                              one_line(f"{row.about} {_told(row.details)}".strip()))  # fmt: skip
                self._count("audit", new[-1].number)
        return len(new)

    @property
    def audit_taken(self) -> int:
        """The number of the last row of the audit trail that was taken."""
        return self._counted("audit").get("audit", 0)

    def security(
        self, node: str | None = None, source: str | None = None, what: str | None = None,
        since_ms: int | None = None, before: int | None = None, limit: int = 200,
    ) -> list[SecurityEvent]:  # fmt: skip
        """The newest first; before: those with a lower number."""
        asked = [("node = ?", node), ("source = ?", source), ("what = ?", what), ("at_ms >= ?", since_ms),
                 ("number < ?", before)]  # fmt: skip
        given = [(clause, value) for clause, value in asked if value is not None]
        where = " AND ".join(clause for clause, _ in given) or "1"
        sql = f"SELECT * FROM security WHERE {where} ORDER BY number DESC LIMIT ?"
        return [SecurityEvent(**dict(row)) for row in self._ask(sql, *(value for _, value in given), min(limit, 1000))]

    def kinds(self) -> list[tuple[str, str, int]]:
        """(source, what, how many) of all that there is."""
        sql = "SELECT source, what, sum(count) FROM security GROUP BY source, what ORDER BY source, what"
        return [(row[0], row[1], row[2]) for row in self._ask(sql)]

    def security_after(self, number: int, most: int) -> list[SecurityEvent]:
        """The oldest first."""
        rows = self._ask("SELECT * FROM security WHERE number > ? ORDER BY number LIMIT ?", number, most)
        return [SecurityEvent(**dict(row)) for row in rows]

    def forwarded(self, name: str) -> int:
        """The number of the last event that was forwarded under that name; 0 at first."""
        return self._counted(f"forward {name}").get(f"forward {name}", 0)

    def forward(self, name: str, number: int) -> None:
        """Note that all up to that number was handed over."""
        with self._transaction():
            self._count(f"forward {name}", number)

    def waiting(self, name: str) -> tuple[int, int]:
        """How many events wait to be forwarded, and how many were dropped before they could be."""
        at = self.forwarded(name)
        row = self._ask("SELECT count(*), min(number) FROM security WHERE number > ?", at)[0]
        return row[0], max(0, row[1] - at - 1) if row[1] is not None and at else 0

    def _add(self, *values: Any) -> None:
        number = self._do(
            "INSERT INTO security (at_ms, noted_ms, source, node, name, what, who, count, detail) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *values,
        )  # fmt: skip
        self._do("DELETE FROM security WHERE number <= ?", number - KEPT)

    def _counted(self, begin: str) -> dict[str, int]:
        sql = "SELECT name, count FROM counted WHERE substr(name, 1, length(?1)) = ?1"
        return {row["name"]: row["count"] for row in self._ask(sql, begin)}

    def _count(self, name: str, count: int) -> None:
        self._do("INSERT OR REPLACE INTO counted VALUES (?, ?)", name, count)


def _told(details: str) -> str:
    """The values of an act, JSON of an object, in words."""
    try:
        values = json.loads(details)
    except ValueError:
        return details
    if not isinstance(values, dict):
        return details
    said = {name: value for name, value in values.items() if value not in (None, "", False)}
    return ", ".join(name if value is True else f"{name} {value}" for name, value in said.items())
