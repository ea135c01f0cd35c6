"""Users for an admin, tokens for everybody, and the audit trail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from quaver.access.passwords import LONGEST
from quaver.access.roles import Who
from quaver.access.sessions import Token
from quaver.access.users import User
from quaver.errors import PageError
from quaver.serve.endpoints import Call, Endpoint
from quaver.serve.routes.session import access_of, hashing, session_of

_Role = Literal["viewer", "technician", "engineer", "admin"]
_Scope = Literal["read", "alarms", "commands", "configure", "admin"]


class NewUser(BaseModel):
    name: str = Field(max_length=200)
    role: _Role
    password: str = Field(max_length=LONGEST + 1)
    language: Literal["en", "de"] = "en"


class NewRole(BaseModel):
    role: _Role


class SetPassword(BaseModel):
    password: str = Field(max_length=LONGEST + 1)


class NewToken(BaseModel):
    """days: after how many it ends."""

    title: str = Field(max_length=200)
    scopes: list[_Scope] = Field(min_length=1, max_length=5)
    days: int = Field(ge=1, le=366)


class TokensQuery(BaseModel):
    """all: of everybody, for an admin."""

    all: bool = False


class AuditQuery(BaseModel):
    """before: a row's number; the rows before it."""

    before: int | None = Field(None, ge=1)
    limit: int = Field(100, ge=1, le=1000)


@dataclass(frozen=True)
class UserRow:
    """local: with a password here, not of an OpenID provider. made_ms: since 1970."""

    name: str
    role: str
    language: str
    disabled: bool
    local: bool
    made_ms: int


@dataclass(frozen=True)
class UserRows:
    users: list[UserRow]


@dataclass(frozen=True)
class TokenRow:
    """Times in ms since 1970. used_ms: null for never."""

    number: int
    user: str
    title: str
    scopes: list[str]
    made_ms: int
    until_ms: int
    used_ms: int | None


@dataclass(frozen=True)
class TokenRows:
    tokens: list[TokenRow]


@dataclass(frozen=True)
class MadeToken:
    """secret: the token itself, which is told this once."""

    secret: str
    token: TokenRow


@dataclass(frozen=True)
class AuditRow:
    """who: "" for a stranger."""

    number: int
    time_ms: int
    who: str
    what: str
    about: str
    details: dict[str, Any]


@dataclass(frozen=True)
class AuditRows:
    rows: list[AuditRow]


@dataclass(frozen=True)
class AuditVerdict:
    """rows: those that hold. broken: the first one that does not, or null. why: in words."""

    rows: int
    broken: int | None
    why: str


def _by(call: Call) -> str:
    assert call.who is not None
    return call.who.signed


def users(call: Call) -> UserRows:
    return UserRows([_user(user) for user in access_of(call).users.all()])


async def add(call: Call) -> UserRow:
    asked = call.body
    made = await hashing(
        access_of(call).users.add, asked.name, asked.role, asked.password, by=_by(call), language=asked.language
    )
    return _user(made)


def role(call: Call) -> UserRow:
    access_of(call).users.set_role(call.path["name"], call.body.role, by=_by(call))
    return _user(access_of(call).users.get(call.path["name"]))


async def password(call: Call) -> Response:
    session_of(call)
    await hashing(access_of(call).users.set_password, call.path["name"], call.body.password, by=_by(call))
    return Response(status_code=204)


def disable(call: Call) -> UserRow:
    access_of(call).users.set_disabled(call.path["name"], True, by=_by(call))
    return _user(access_of(call).users.get(call.path["name"]))


def enable(call: Call) -> UserRow:
    access_of(call).users.set_disabled(call.path["name"], False, by=_by(call))
    return _user(access_of(call).users.get(call.path["name"]))


def tokens(call: Call) -> TokenRows:
    who = _known(call)
    if call.query.all and not who.may("admin"):
        raise PageError("only an admin sees the tokens of all", 403)
    return TokenRows([_token(token) for token in access_of(call).tokens.all(None if call.query.all else who.name)])


def make_token(call: Call) -> MadeToken:
    asked = call.body
    secret, token = access_of(call).tokens.make(session_of(call), asked.title, asked.scopes, asked.days)
    return MadeToken(secret, _token(token))


def end_token(call: Call) -> Response:
    who, number = _known(call), call.path["number"]
    if not number.isdecimal() or len(number) > 15:
        raise PageError("a token has a number", 404)
    access_of(call).tokens.end(int(number), by=who.signed, user=None if who.may("admin") else who.name)
    return Response(status_code=204)


def audit(call: Call) -> AuditRows:
    rows = access_of(call).audit.rows(call.query.before, call.query.limit)
    return AuditRows([AuditRow(*row[:5], details=_details(row.details)) for row in rows])


def _details(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:  # of a row that somebody has edited in the file
        found = None
    return found if isinstance(found, dict) else {"text": text}


def verify(call: Call) -> AuditVerdict:
    found = access_of(call).audit.verify()
    return AuditVerdict(found.rows, found.broken or None, found.why)


def _known(call: Call) -> Who:
    assert call.who is not None
    return call.who


def _user(user: User) -> UserRow:
    return UserRow(user.name, user.role, user.language, user.disabled, user.local, int(user.made * 1000))


def _token(token: Token) -> TokenRow:
    used = None if token.used is None else int(token.used * 1000)
    return TokenRow(
        *(token.number, token.user, token.title, list(token.scopes)),
        *(int(token.made * 1000), int(token.until * 1000), used),
    )


_USER = "/users/{name}"
ENDPOINTS = (
    Endpoint("GET", "/users", "admin", "All users.", users, answer=UserRows),
    Endpoint("POST", "/users", "admin", "Add a user with a password.", add, body=NewUser, answer=UserRow),
    Endpoint("POST", f"{_USER}/role", "admin", "Give a user another role.", role, body=NewRole, answer=UserRow),
    Endpoint("POST", f"{_USER}/password", "admin", "Give a user another password.", password, body=SetPassword),
    Endpoint("POST", f"{_USER}/disable", "admin", "Shut a user out.", disable, answer=UserRow),
    Endpoint("POST", f"{_USER}/enable", "admin", "Let a user in again.", enable, answer=UserRow),
    Endpoint("GET", "/tokens", "", "One's own tokens, without the secrets.", tokens, TokensQuery, answer=TokenRows),
    Endpoint("POST", "/tokens", "", "Make a token with some of one's own scopes.", make_token, body=NewToken,
             answer=MadeToken),
    Endpoint("DELETE", "/tokens/{number}", "", "End a token.", end_token),
    Endpoint("GET", "/audit", "admin", "The newest rows of the audit trail.", audit, AuditQuery, answer=AuditRows),
    Endpoint("GET", "/audit/verify", "admin", "Whether the audit trail is whole.", verify, answer=AuditVerdict),
)  # fmt: skip
