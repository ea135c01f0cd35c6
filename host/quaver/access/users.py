"""The page's users: who they are, their roles, and their passwords' hashes."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from dataclasses import dataclass

from quaver.access.audit import Audit
from quaver.access.base import Base
from quaver.access.limits import Limits
from quaver.access.passwords import Passwords, check_password
from quaver.access.roles import LANGUAGES, ROLES
from quaver.errors import AccessError

_NAME = re.compile(r"\w[\w.@+-]{0,63}")


@dataclass(frozen=True)
class User:
    """A user. local: with a password here, not one of an OpenID provider. made: s since 1970."""

    name: str
    role: str
    language: str
    disabled: bool
    local: bool
    made: float


def user_name(text: str) -> str:
    """The one form of a name, in small letters. Raises AccessError."""
    name = unicodedata.normalize("NFKC", text[:200].strip()).casefold()
    if not _NAME.fullmatch(name):
        raise AccessError(
            "a user's name has 1 to 64 letters, digits, dots, dashes or @, and begins with a letter or a digit"
        )
    return name


def check_role(role: str) -> str:
    """Raises AccessError for what is no role."""
    if role not in ROLES:
        raise AccessError(f"{role[:40]!r} is no role; expected {', '.join(ROLES)}")
    return role


class Users:
    """The users of a base. `by` is who does it, for the audit trail. Every method raises AccessError."""

    def __init__(self, base: Base, audit: Audit, limits: Limits, passwords: Passwords) -> None:
        self._base, self._audit, self._limits, self._passwords = base, audit, limits, passwords

    def all(self) -> list[User]:
        """All users, by name."""
        with self._base.reading() as base:
            return [_user(row) for row in base.execute("SELECT * FROM user ORDER BY name")]

    def get(self, name: str) -> User:
        with self._base.reading() as base:
            return _user(_row(base, user_name(name)))

    def have_admin(self) -> bool:
        """Whether somebody may do everything: an admin who is not disabled."""
        with self._base.reading() as base:
            return bool(_admins(base))

    def add(self, name: str, role: str, password: str, *, by: str, language: str = "en") -> User:
        """Make a user with a password of their own."""
        name = user_name(name)
        check_role(role)
        check_password(password, name)
        return self._add(name, role, language, self._passwords.hash(password), None, by)

    def add_subject(self, name: str, role: str, subject: str, *, by: str) -> User:
        """Make a user of an OpenID provider, who has no password here. subject: issuer and subject."""
        return self._add(user_name(name), check_role(role), LANGUAGES[0], "", subject, by)

    def _add(self, name: str, role: str, language: str, hashed: str, subject: str | None, by: str) -> User:
        values = (name, hashed, subject, role, check_language(language), 0, self._base.now())
        with self._base.writing() as base:
            if base.execute("SELECT 1 FROM user WHERE name = ?", (name,)).fetchone():
                raise AccessError(f"user {name} exists; take another name", 409)
            base.execute("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            self._audit.write(by, "user added", name, {"role": role, "local": subject is None})
            return _user(_row(base, name))

    def by_subject(self, subject: str) -> User | None:
        """The user of an OpenID provider."""
        with self._base.reading() as base:
            row = base.execute("SELECT * FROM user WHERE subject = ?", (subject,)).fetchone()
        return _user(row) if row else None

    def set_role(self, name: str, role: str, *, by: str, even_last: bool = False) -> None:
        """Give a user another role. It ends their sessions: the next login has a new one. even_last: the last admin."""
        name = user_name(name)
        check_role(role)
        with self._base.writing() as base:
            before = _user(_row(base, name))
            if before.role == role:
                return
            if not even_last:
                self._keep_an_admin(base, before)
            base.execute("UPDATE user SET role = ? WHERE name = ?", (role, name))
            _end_sessions(base, name)
            self._audit.write(by, "role changed", name, {"from": before.role, "to": role})

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Give a user another password. It ends their sessions and forgets failed logins."""
        name = user_name(name)
        check_password(password, name)
        hashed = self._passwords.hash(password)
        with self._base.writing() as base:
            if not _user(_row(base, name)).local:
                raise AccessError(f"user {name} logs in at the OpenID provider and has no password here; set it there")
            base.execute("UPDATE user SET hash = ? WHERE name = ?", (hashed, name))
            _end_sessions(base, name)
            self._limits.forgive(name)
            self._audit.write(by, "password changed", name)

    def set_disabled(self, name: str, disabled: bool, *, by: str, even_last: bool = False) -> None:
        """Shut a user out, sessions and tokens with them, or let them in again. even_last: the last admin."""
        name = user_name(name)
        with self._base.writing() as base:
            before = _user(_row(base, name))
            if before.disabled == disabled:
                return
            if disabled:
                if not even_last:
                    self._keep_an_admin(base, before)
                _end_sessions(base, name)
            base.execute("UPDATE user SET disabled = ? WHERE name = ?", (int(disabled), name))
            self._audit.write(by, "user disabled" if disabled else "user enabled", name)

    def remove(self, name: str, *, by: str) -> None:
        """Delete a user with sessions, tokens, failed logins, and the addresses from which they came.

        The audit trail keeps the name, until its rows are deleted for their age.
        """
        name = user_name(name)
        with self._base.writing() as base:
            user = _user(_row(base, name))
            if not user.disabled:
                self._keep_an_admin(base, user)
            self._limits.forgive(name)
            _end_sessions(base, name)
            base.execute("DELETE FROM token WHERE user = ?", (name,))
            base.execute("DELETE FROM user WHERE name = ?", (name,))
            self._audit.write(by, "user removed", name)
        self._base.forget()

    def set_language(self, name: str, language: str) -> None:
        """The language in which the page speaks to a user."""
        with self._base.writing() as base:
            base.execute("UPDATE user SET language = ? WHERE name = ?", (check_language(language), user_name(name)))

    def check(self, name: str, password: str) -> User | None:
        """The user whose password that is, unless disabled; None takes as long to find out."""
        with self._base.reading() as base:
            row = base.execute("SELECT * FROM user WHERE name = ?", (name,)).fetchone()
        kept = str(row["hash"]) if row else ""
        if not self._passwords.matches(kept, password) or row["disabled"]:
            return None
        if self._passwords.stale(kept):
            fresh = self._passwords.hash(password)
            with self._base.writing() as base:
                # Only while it is still the one that was compared: somebody may have set another meanwhile.
                base.execute("UPDATE user SET hash = ? WHERE name = ? AND hash = ?", (fresh, name, kept))
        return _user(row)

    def _keep_an_admin(self, base: sqlite3.Connection, user: User) -> None:
        if _admins(base) == [user.name]:
            raise AccessError(f"user {user.name} is the last admin; make another one first", 409)


def check_language(language: str) -> str:
    """Raises AccessError for what the page does not speak."""
    if language not in LANGUAGES:
        raise AccessError(f"{language[:40]!r} is no language of the page; expected {', '.join(LANGUAGES)}")
    return language


def _admins(base: sqlite3.Connection) -> list[str]:
    return [row[0] for row in base.execute("SELECT name FROM user WHERE role = 'admin' AND NOT disabled")]


def _row(base: sqlite3.Connection, name: str) -> sqlite3.Row:
    row: sqlite3.Row | None = base.execute("SELECT * FROM user WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise AccessError(f"there is no user {name}; check the name", 404)
    return row


def _user(row: sqlite3.Row) -> User:
    return User(
        row["name"], row["role"], row["language"], bool(row["disabled"]), row["subject"] is None, made=row["made"]
    )


def _end_sessions(base: sqlite3.Connection, name: str) -> None:
    base.execute("DELETE FROM session WHERE user = ?", (name,))
