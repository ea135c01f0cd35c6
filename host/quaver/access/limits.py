"""How often somebody may try to log in: a back-off by user and by address that survives a restart.

Failures are counted by address, and by user. Failures from an address from which that user has logged in before are
counted apart: so a stranger who guesses keeps a user out from nowhere but strange addresses, and for a while.
"""

from __future__ import annotations

import ipaddress
import math
import sqlite3
from dataclasses import dataclass
from hashlib import sha256

from quaver.access.base import Base
from quaver.errors import TooOften

_KEPT = 10_000  # counters, and addresses from which somebody has logged in
_KNOWN_S = 90 * 86_400


@dataclass(frozen=True)
class Rule:
    """free: failures without a wait; then 1 s, doubled by each, at most `most_s`. forgotten_s: after the last one."""

    free: int
    most_s: int
    forgotten_s: int

    def wait_s(self, count: int, since: float) -> float:
        """How long to wait after `count` failures, the last `since` s ago; a date that went back counts as now."""
        if count < self.free or since > self.forgotten_s:
            return 0.0
        return min(self.most_s, 2.0 ** min(count - self.free, 30)) - max(0.0, since)


BY_USER = Rule(free=5, most_s=900, forgotten_s=86_400)
BY_ADDRESS = Rule(free=20, most_s=300, forgotten_s=3600)  # a whole control room may share one


class Limits:
    """Counts failed logins in a base. Each try is counted before it is looked at: many at once are no way round."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def take(self, user: str | None, address: str) -> None:
        """Count a try as failed, until `passed` says otherwise. Raises TooOften, and counts nothing, while it has to
        wait. user: a name, which nobody may have; None to count by address alone."""
        now, address = self._base.now(), network(address)
        with self._base.writing() as base:
            counters = [(f"address {address}", BY_ADDRESS)]
            if user is not None:
                counters.append((self._by_user(base, user, address), BY_USER))
            # Who is known there waits for failures under their own name alone, whoever shares the address.
            bound = counters[-1:] if counters[-1][0].endswith(f" at {address}") else counters
            wait = max(rule.wait_s(*self._count(base, what, now)) for what, rule in bound)
            if wait > 0:
                seconds = math.ceil(wait)
                raise TooOften(f"too many failed logins; try again in {seconds} s", seconds)
            for what, rule in counters:
                count, since = self._count(base, what, now)
                count = 0 if since > rule.forgotten_s else count
                base.execute("INSERT OR REPLACE INTO failure VALUES (?, ?, ?)", (what, count + 1, now))
            _bound(base, "failure")

    def passed(self, user: str, address: str) -> None:
        """A try was right: forget the user's failures, and one of the address (or one account would open all)."""
        address = network(address)
        with self._base.writing() as base:
            base.execute("DELETE FROM failure WHERE what = ?", (self._by_user(base, user, address),))
            base.execute("UPDATE failure SET count = max(0, count - 1) WHERE what = ?", (f"address {address}",))
            base.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (user, address, self._base.now()))
            _bound(base, "known")

    def forgive(self, user: str) -> None:
        """Forget all failures of a user, and from where they were known: somebody has set a new password."""
        with self._base.writing() as base:
            base.execute("DELETE FROM failure WHERE what = ? OR what LIKE ? || ' at %'", (_named(user), _named(user)))
            base.execute("DELETE FROM known WHERE user = ?", (user,))

    def _by_user(self, base: sqlite3.Connection, user: str, address: str) -> str:
        since = self._base.now() - _KNOWN_S
        known = base.execute(
            "SELECT 1 FROM known WHERE user = ? AND address = ? AND last > ?", (user, address, since)
        ).fetchone()
        return f"{_named(user)} at {address}" if known else _named(user)

    def _count(self, base: sqlite3.Connection, what: str, now: float) -> tuple[int, float]:
        row = base.execute("SELECT count, last FROM failure WHERE what = ?", (what,)).fetchone()
        return (row[0], now - row[1]) if row else (0, 0.0)


def network(address: str) -> str:
    """What one who is at an address can choose among: of IPv6 a whole /64. Another text as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _named(user: str) -> str:
    # Not the name itself: people type passwords into the wrong field.
    return f"user {sha256(user.encode(errors='replace')).hexdigest()}"


def _bound(base: sqlite3.Connection, table: str) -> None:
    """Keep the newest: a stranger with many names or addresses fills no disk."""
    if base.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > _KEPT:  # noqa: S608  our own
        base.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY last LIMIT ?)",  # noqa: S608
            (_KEPT // 10,),
        )
