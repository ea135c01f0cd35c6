"""Logging in at an OpenID provider: the browser goes there, and comes back with a code."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from quaver.errors import AccessError, LoginNeeded, PageError
from quaver.serve.endpoints import Call, Endpoint
from quaver.serve.middleware import address, begin_session
from quaver.serve.routes.session import access_of

if TYPE_CHECKING:
    from quaver.access.openid import OpenId

_log = logging.getLogger(__name__)
_COOKIE = "quaver_openid"
_LIFE_S = 600
_PATH = "/api/v1/openid/callback"
_HASH = re.compile(r"#/[\w./?=&%:-]{0,500}")


class LoginQuery(BaseModel):
    """back: the hash of the page to go on with."""

    back: str = Field("#/plant", max_length=600)


class CallbackQuery(BaseModel):
    """What the provider sends, of which only this is read."""

    model_config = ConfigDict(extra="ignore")

    state: str = Field("", max_length=200)
    code: str | None = Field(None, max_length=4000)
    iss: str | None = Field(None, max_length=500)
    error: str | None = Field(None, max_length=200)


def _provider(call: Call) -> OpenId:
    if call.state.openid is None:
        raise PageError("no OpenID provider is set; start quaver serve with --openid", 404)
    return call.state.openid


async def login(call: Call) -> Response:
    back = call.query.back if _HASH.fullmatch(call.query.back) else "#/plant"
    url, kept = await run_in_threadpool(_provider(call).begin, back)
    answer = RedirectResponse(url, 303)
    secure = call.request.url.scheme == "https"
    # Lax: it has to come along when the provider sends the browser back.
    answer.set_cookie(_COOKIE, kept, _LIFE_S, path=_PATH, secure=secure, httponly=True, samesite="lax")
    return answer


async def callback(call: Call) -> Response:
    provider, access = _provider(call), access_of(call)
    given = call.query.model_dump(exclude_none=True)
    here = address(call.request.scope)
    former = call.who.session if call.who else None
    back = "#/plant"
    try:
        person, back = await run_in_threadpool(provider.finish, given, call.request.cookies.get(_COOKIE, ""))
        if person.role:
            who = (person.subject, person.name, person.role)
            begin_session(call.request, await run_in_threadpool(access.login_subject, *who, here, former))
        else:
            await run_in_threadpool(access.refuse_subject, person.subject, here)
            back = "#/login?problem=refused"
    except LoginNeeded:
        back = "#/login?problem=refused"
    except AccessError as error:
        _log.warning("a login at the OpenID provider failed: %s", error)
        back = f"#/login?problem={'taken' if error.status == 409 else 'failed'}"
    answer = RedirectResponse(f"../../../{back}", 303)
    answer.delete_cookie(_COOKIE, path=_PATH)
    return answer


ENDPOINTS = (
    Endpoint("GET", "/openid/login", "", "Go to the OpenID provider to log in.", login, LoginQuery,
             media="text/plain", open=True),
    Endpoint("GET", "/openid/callback", "", "Come back from the OpenID provider.", callback, CallbackQuery,
             media="text/plain", open=True),
)  # fmt: skip
