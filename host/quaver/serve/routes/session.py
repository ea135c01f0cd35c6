"""Who is logged in: logging in and out, the first admin, and what people change of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

import anyio
from pydantic import BaseModel, Field
from starlette.responses import Response

from quaver.access.access import Access
from quaver.access.passwords import LONGEST
from quaver.errors import NotAllowed, PageError
from quaver.serve.endpoints import SCOPES, Call, Endpoint, Who
from quaver.serve.middleware import address, begin_session, csrf_of

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LOGINS = anyio.CapacityLimiter(4)  # threads that hash passwords: apart from those that read the store


class Login(BaseModel):
    name: str = Field(max_length=200)
    password: str = Field(max_length=LONGEST + 1)


class First(Login):
    """link: what the one-time link ends with."""

    link: str = Field(max_length=100)
    language: Literal["en", "de"] = "en"


class NewPassword(BaseModel):
    password: str = Field(max_length=LONGEST + 1)
    fresh: str = Field(max_length=LONGEST + 1)


class Language(BaseModel):
    language: Literal["en", "de"]


@dataclass(frozen=True)
class Me:
    """csrf: what each change has to carry in the header X-CSRF-Token; "" for a token, which needs none. local: with a
    password here."""

    name: str
    role: str
    scopes: list[str]
    language: str
    csrf: str
    local: bool


@dataclass(frozen=True)
class Ways:
    """How one may log in. first: nobody may do everything yet, so the console shows the link for the first admin.
    passwords: somebody has a password here and may use it. openid: what the OpenID provider is called, where there is
    one."""

    first: bool
    passwords: bool
    openid: str | None


def access_of(call: Call) -> Access:
    """Raises PageError where the page runs without users."""
    if call.state.access is None:
        raise PageError("this page runs without users", 409)
    return call.state.access


def session_of(call: Call) -> Who:
    """Who has logged in. Raises NotAllowed for a token: it makes no other secret, and changes no password."""
    assert call.who is not None
    if call.who.session is None:
        raise NotAllowed("a token may not do this; log in on the page")
    return call.who


async def hashing(work: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Run what hashes passwords in a thread of its own."""
    return await anyio.to_thread.run_sync(lambda: work(*arguments, **named), limiter=_LOGINS)


def _me(call: Call, who: Who) -> Me:
    user = access_of(call).users.get(who.name)
    return Me(
        who.name,
        who.role,
        [scope for scope in SCOPES if scope in who.scopes],
        who.language,
        csrf_of(call.request),
        user.local,
    )


def _begun(call: Call, secret: str) -> Me:
    begin_session(call.request, secret)
    who = access_of(call).sessions.who(secret)
    if who is None:
        raise PageError("the session has ended already; log in again", 401)
    return _me(call, who)


def ways(call: Call) -> Ways:
    provider, users = call.state.openid, access_of(call).users
    passwords = any(user.local and not user.disabled for user in users.all())
    return Ways(not users.have_admin(), passwords, provider.title if provider else None)


def me(call: Call) -> Me:
    assert call.who is not None
    return _me(call, call.who)


async def login(call: Call) -> Me:
    former = call.who.session if call.who else None
    secret = await hashing(
        access_of(call).login, call.body.name, call.body.password, address(call.request.scope), former
    )
    return _begun(call, secret)


async def first(call: Call) -> Me:
    asked = call.body
    secret = await hashing(
        access_of(call).make_first,
        *(asked.link, asked.name, asked.password, address(call.request.scope), asked.language),
    )
    return _begun(call, secret)


def logout(call: Call) -> Response:
    access_of(call).logout(session_of(call))
    begin_session(call.request, "")
    return Response(status_code=204)


async def password(call: Call) -> Me:
    who = session_of(call)
    secret = await hashing(
        access_of(call).change_password, who, call.body.password, call.body.fresh, address(call.request.scope)
    )
    return _begun(call, secret)


def language(call: Call) -> Me:
    who = session_of(call)
    access_of(call).users.set_language(who.name, call.body.language)
    return _me(call, Who(who.name, who.role, who.scopes, call.body.language, who.session))


ENDPOINTS = (
    Endpoint("GET", "/session", "", "How one may log in.", ways, answer=Ways, open=True),
    Endpoint("POST", "/session", "", "Log in: a session in a cookie.", login, body=Login, answer=Me, open=True),
    Endpoint(
        "POST", "/first", "", "Make the first admin by the one-time link.", first, body=First, answer=Me, open=True
    ),
    Endpoint("DELETE", "/session", "", "Log out.", logout),
    Endpoint("GET", "/me", "", "Who is logged in, and what they may.", me, answer=Me),
    Endpoint("POST", "/me/password", "", "Change one's own password.", password, body=NewPassword, answer=Me),
    Endpoint("POST", "/me/language", "", "Change the language of the page.", language, body=Language, answer=Me),
)
