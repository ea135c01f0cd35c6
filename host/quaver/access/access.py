"""All of the access room over one state folder: what the page's server and the command line ask."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.access.audit import Audit
from quaver.access.base import Base
from quaver.access.limits import Limits
from quaver.access.passwords import OWASP, Cost, Passwords, check_password
from quaver.access.roles import Who
from quaver.access.sessions import Sessions, Tokens
from quaver.access.users import User, Users, user_name
from quaver.errors import AccessError, LoginNeeded

PROVIDER = "OpenID provider"  # who gives and takes roles, in the audit trail
FIRST_S = 3600  # how long the link for the first admin holds
_REFUSED = "the name or the password is wrong"


class Access:
    """Users, sessions, tokens, limits and the audit trail of a state folder. Every method raises AccessError.

    cost: of the passwords' hashes. now: the date, s since 1970.
    """

    def __init__(self, folder: Path, cost: Cost = OWASP, now: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._base = Base(folder, now)
        self.audit = Audit(self._base)
        self.limits = Limits(self._base)
        self.users = Users(self._base, self.audit, self.limits, Passwords(cost))
        self.sessions = Sessions(self._base)
        self.tokens = Tokens(self._base, self.audit)

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def login(self, name: str, password: str, address: str, former: bytes | None = None) -> str:
        """Begin a session: its secret. `former`, which the browser had, ends. Raises LoginNeeded, TooOften.

        address: from where, as the server sees it.
        """
        user = self._right(name, password, address, "login")
        return self.admit(user, address, former)

    def admit(self, user: User, address: str, former: bytes | None = None) -> str:
        """Begin a session of a user whose identity is sure. Raises LoginNeeded for one who is disabled."""
        with self._base.writing():
            if self.users.get(user.name).disabled:
                raise LoginNeeded(_REFUSED)
            if former is not None:
                self.sessions.end(former)
            self.audit.write(user.name, "login", user.name, {"address": address})
            return self.sessions.begin(user.name)

    def login_subject(self, subject: str, name: str, role: str, address: str, former: bytes | None = None) -> str:
        """Begin a session of somebody whom an OpenID provider knows, as the role that it gives: its secret.

        Raises AccessError where a user of that name has a password here, LoginNeeded for one who is disabled.
        """
        with self._base.writing():
            user = self.users.by_subject(subject)
            if user is None:
                user = self.users.add_subject(name, role, subject, by=PROVIDER)
            elif not user.disabled:
                self.users.set_role(user.name, role, by=PROVIDER, even_last=True)
            return self.admit(user, address, former)

    def refuse_subject(self, subject: str, address: str) -> None:
        """An OpenID provider knows somebody who has no role here any more: shut them out, tokens too."""
        with self._base.writing():
            user = self.users.by_subject(subject)
            self.audit.write("", "login failed", user.name if user else "", {"address": address, "role": "none"})
            if user is not None:
                self.users.set_disabled(user.name, True, by=PROVIDER, even_last=True)

    def holds(self, who: Who) -> bool:
        """Whether somebody who is known still is: their session or token goes on, with the same scopes."""
        if who.session is not None:
            now = self.sessions.holds(who.session)
        else:
            now = self.tokens.holds(who.token) if who.token is not None else None
        return now is not None and now.scopes == who.scopes

    def logout(self, who: Who) -> None:
        """End the session by which somebody asks."""
        if who.session is None:
            raise AccessError("a token has no session to end; end the token instead")
        with self._base.writing():
            self.sessions.end(who.session)
            self.audit.write(who.name, "logout", who.name)

    def change_password(self, who: Who, password: str, fresh: str, address: str) -> str:
        """Change somebody's own password: all their sessions end, and this is the secret of a new one."""
        user = self._right(who.name, password, address, "password change")
        self.users.set_password(user.name, fresh, by=user.name)
        self.limits.passed(user.name, address)
        return self.sessions.begin(user.name)

    def _right(self, name: str, password: str, address: str, what: str) -> User:
        try:
            name = user_name(name)
        except AccessError:
            name = ""  # nobody's; as slow, and of the same answer
        self.limits.take(name or None, address)
        user = self.users.check(name, password)
        if user is None:
            # A name that nobody has is not written: people type passwords into the wrong field.
            known = any(known.name == name for known in self.users.all())
            self.audit.write("", f"{what} failed", name if known else "", {"address": address, "known": known})
            raise LoginNeeded(_REFUSED)
        self.limits.passed(user.name, address)
        return user

    def first_link(self) -> str | None:
        """A new secret by which the first admin is made, once and within an hour; None while there is an admin."""
        secret = secrets.token_urlsafe(32)
        with self._base.writing() as base:
            base.execute("DELETE FROM first")
            if self.users.have_admin():
                return None
            base.execute("INSERT INTO first VALUES (1, ?, ?)", (_hashed(secret), self._base.now() + FIRST_S))
        return secret

    def make_first(self, secret: str, name: str, password: str, address: str, language: str = "en") -> str:
        """Make the first admin by that secret and begin a session: its secret. Raises LoginNeeded, TooOften."""
        check_password(password, user_name(name))
        self.limits.take(None, address)
        self._check_first(secret, address)
        with self._base.writing() as base:
            self._check_first(secret, address)  # once more: another may have been quicker
            user = self.users.add(name, "admin", password, by="first link", language=language)
            base.execute("DELETE FROM first")
            self.limits.passed(user.name, address)
            return self.admit(user, address)

    def _check_first(self, secret: str, address: str) -> None:
        with self._base.reading() as base:
            row = base.execute("SELECT key, until FROM first").fetchone()
        left = row[1] - self._base.now() if row else 0
        if not 0 < left <= FIRST_S or not compare_digest(row[0], _hashed(secret)) or self.users.have_admin():
            self.audit.write("", "first admin refused", "", {"address": address})
            raise LoginNeeded("this link was used, is over an hour old, or is none; restart quaver serve for a new one")


def _hashed(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()
