"""Sessions of browsers and tokens of programs: random secrets of 256 bits, of which only a hash is kept here."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from quaver.access.audit import Audit
from quaver.access.base import Base
from quaver.access.roles import ROLES, SCOPES, Who
from quaver.access.users import user_name
from quaver.errors import AccessError

IDLE_S = 12 * 3600  # a shift and what is added to it
ABSOLUTE_S = 7 * 86_400
_SEEN_EACH_S = 60  # how often a session that is used is written
_SESSIONS_MAX = 20  # of one user; the oldest makes room
_TOKENS_MAX = 100
_DAYS_MAX = 366
_TITLE_MAX = 100
_PREFIX = "quaver_"  # by which programs that look for leaked secrets know one


@dataclass(frozen=True)
class Token:
    """A token, without the secret. made, until, used: s since 1970; used: None for never."""

    number: int
    user: str
    title: str
    scopes: tuple[str, ...]
    made: float
    until: float
    used: float | None


class Sessions:
    """The sessions of a base. A secret is given out once, by `begin`."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def begin(self, user: str) -> str:
        """A new session of a user: the secret for the browser, 43 letters."""
        secret, now = secrets.token_urlsafe(32), self._base.now()
        with self._base.writing() as base:
            base.execute("DELETE FROM session WHERE seen < ? OR began < ?", (now - IDLE_S, now - ABSOLUTE_S))
            base.execute(
                "DELETE FROM session WHERE key IN "
                "(SELECT key FROM session WHERE user = ? ORDER BY seen DESC LIMIT -1 OFFSET ?)",
                (user, _SESSIONS_MAX - 1),
            )
            base.execute("INSERT INTO session VALUES (?, ?, ?, ?)", (_key(secret), user, now, now))
        return secret

    def who(self, secret: str) -> Who | None:
        """Whose session that is; None for one that has ended."""
        return self.holds(_key(secret))

    def holds(self, key: bytes) -> Who | None:
        """As `who`, by the session's key: whether a stream that goes on may still do so."""
        now = self._base.now()
        with self._base.reading() as base:
            row = base.execute(
                "SELECT user.*, began, seen FROM session JOIN user ON user.name = session.user "
                "WHERE key = ? AND NOT disabled",
                (key,),
            ).fetchone()
        if row is None or not _current(now, row["began"], ABSOLUTE_S) or not _current(now, row["seen"], IDLE_S):
            return None
        return Who(row["name"], row["role"], frozenset(ROLES[row["role"]]), row["language"], session=key)

    def touch(self, key: bytes) -> None:
        """A session is used: its idle time begins anew. Written once a minute at most."""
        now = self._base.now()
        with self._base.reading() as base:
            row = base.execute("SELECT seen FROM session WHERE key = ?", (key,)).fetchone()
        if row and abs(now - row[0]) >= _SEEN_EACH_S:
            with self._base.writing() as base:
                base.execute("UPDATE session SET seen = ? WHERE key = ?", (now, key))

    def end(self, key: bytes) -> None:
        with self._base.writing() as base:
            base.execute("DELETE FROM session WHERE key = ?", (key,))


def csrf(secret: str) -> str:
    """The second secret of a session, which a page sends in a header and another site's page can't know."""
    return hmac.new(secret.encode(), b"quaver csrf", sha256).hexdigest()


class Tokens:
    """The tokens of a base."""

    def __init__(self, base: Base, audit: Audit) -> None:
        self._base, self._audit = base, audit

    def make(self, who: Who, title: str, scopes: Collection[str], days: int) -> tuple[str, Token]:
        """A token with some of its maker's scopes, and what is kept of it. Raises AccessError."""
        title = " ".join(title.split())
        if not 1 <= len(title) <= _TITLE_MAX:
            raise AccessError(f"a token has a title of 1 to {_TITLE_MAX} characters; say what uses it")
        if not 1 <= days <= _DAYS_MAX:
            raise AccessError(f"a token ends after 1 to {_DAYS_MAX} days; take such a number")
        wanted = tuple(scope for scope in SCOPES if scope in scopes)
        if not wanted or len(wanted) != len(set(scopes)) or not who.scopes.issuperset(wanted):
            raise AccessError(f"a token has scopes of its maker's: {', '.join(s for s in SCOPES if s in who.scopes)}")
        secret, now = _PREFIX + secrets.token_urlsafe(32), self._base.now()
        with self._base.writing() as base:
            if base.execute("SELECT count(*) FROM token WHERE user = ?", (who.name,)).fetchone()[0] >= _TOKENS_MAX:
                raise AccessError(f"user {who.name} has {_TOKENS_MAX} tokens; end some first")
            done = base.execute(
                "INSERT INTO token (key, user, title, scopes, made, until) VALUES (?, ?, ?, ?, ?, ?)",
                (_key(secret), who.name, title, " ".join(wanted), now, now + days * 86_400),
            )
            number = int(done.lastrowid or 0)
            self._audit.write(
                who.name, "token made", f"token {number}", {"title": title, "scopes": list(wanted), "days": days}
            )
            return secret, _token(base.execute("SELECT * FROM token WHERE number = ?", (number,)).fetchone())

    def who(self, secret: str) -> Who | None:
        """For whom that token speaks; None for one that is no more. It may never do what its maker may not."""
        with self._base.reading() as base:
            row = base.execute("SELECT number FROM token WHERE key = ?", (_key(secret),)).fetchone()
        return self.holds(row[0]) if row else None

    def holds(self, number: int) -> Who | None:
        """As `who`, by the token's number."""
        with self._base.reading() as base:
            row = base.execute(
                "SELECT user.*, number, scopes, token.made AS since, until FROM token "
                "JOIN user ON user.name = token.user WHERE number = ? AND NOT disabled",
                (number,),
            ).fetchone()
        if row is None or not _current(self._base.now(), row["since"], row["until"] - row["since"]):
            return None
        scopes = frozenset(row["scopes"].split()) & frozenset(ROLES[row["role"]])
        return Who(row["name"], row["role"], scopes, row["language"], token=row["number"])

    def touch(self, number: int) -> None:
        """A token is used. Written once a minute at most."""
        now = self._base.now()
        with self._base.reading() as base:
            row = base.execute("SELECT used FROM token WHERE number = ?", (number,)).fetchone()
        if row and (row[0] is None or abs(now - row[0]) >= _SEEN_EACH_S):
            with self._base.writing() as base:
                base.execute("UPDATE token SET used = ? WHERE number = ?", (now, number))

    def all(self, user: str | None = None) -> list[Token]:
        """The tokens of a user, or of all; those that have ended too."""
        with self._base.reading() as base:
            rows = base.execute(
                "SELECT * FROM token WHERE ? IS NULL OR user = ? ORDER BY number", (user, user)
            ).fetchall()
        return [_token(row) for row in rows]

    def end(self, number: int, *, by: str, user: str | None = None) -> None:
        """End a token, if it is that user's, or anybody's. Raises AccessError."""
        with self._base.writing() as base:
            row = base.execute("SELECT * FROM token WHERE number = ?", (number,)).fetchone()
            if row is None or (user is not None and row["user"] != user_name(user)):
                raise AccessError(f"there is no token {number} of yours; it may have been ended", 404)
            base.execute("DELETE FROM token WHERE number = ?", (number,))
            self._audit.write(by, "token ended", f"token {number}", {"title": row["title"], "user": row["user"]})


def _current(now: float, since: float, for_s: float) -> bool:
    """Whether `now` is within `for_s` of `since`; a clock that was set back for longer ends it too."""
    return abs(now - since) < for_s


def _key(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()


def _token(row: sqlite3.Row) -> Token:
    scopes = tuple(row["scopes"].split())
    return Token(row["number"], row["user"], row["title"], scopes, row["made"], row["until"], row["used"])
