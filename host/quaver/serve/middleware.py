"""Who asks: by the session in a cookie, or by a token; and that another site's page asks for nobody.

It finds out who asks and refuses what nobody may; what each may is decided by the table of endpoints (app.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from hmac import compare_digest

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quaver.access.access import Access
from quaver.access.limits import network
from quaver.access.sessions import ABSOLUTE_S, csrf
from quaver.errors import LoginNeeded, NotAllowed, PageError, TooOften
from quaver.serve.buckets import Buckets
from quaver.serve.endpoints import WHO, Who, failure

CSRF_HEADER = "x-csrf-token"
_COOKIE = "quaver_session"
_CSRF, _FRESH = "quaver.csrf", "quaver.session"  # in a request's scope
_READS = ("GET", "HEAD", "OPTIONS")
_BODY_MAX = 1 << 20
_HOLDS_EACH_S = 5.0  # how often an answer that goes on is asked whether it may
_STRANGER, _KNOWN = (200, 10.0), (3000, 100.0)  # requests at once, and per second: of an address, of a user


class Identify:
    """The middleware. access: who is known. open_to_all: (method, path) of what needs no session, so no CSRF token."""

    def __init__(self, app: ASGIApp, access: Access, open_to_all: Collection[tuple[str, str]] = ()) -> None:
        self._app, self._access, self._open = app, access, frozenset(open_to_all)
        self._strangers, self._known = Buckets(*_STRANGER), Buckets(*_KNOWN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        try:
            who = self._identify(scope)
            self._check_rate(scope, who)
            _check_length(scope)
            await self._touch(who)
        except PageError as error:
            await failure(error)(scope, receive, send)
            return
        scope[WHO] = who
        watch = _Watch(scope, receive, send, self._access, who)
        try:
            await self._app(scope, watch.receive, watch.send)
        except (ClientDisconnect, _Ended):
            if not watch.ended:
                raise

    def _identify(self, scope: Scope) -> Who | None:
        headers = Headers(scope=scope)
        given = headers.get("authorization")
        if given is not None:
            kind, _, token = given.partition(" ")
            who = self._access.tokens.who(token.strip()) if kind.lower() == "bearer" else None
            if who is None:
                raise LoginNeeded("the token has ended, or is none; make another one on the page")
            return who
        changes = scope["method"] not in _READS
        if changes:
            _check_origin(scope, headers)
        secret = Request(scope).cookies.get(_name(scope), "")
        who = self._access.sessions.who(secret) if secret else None
        if who is not None:
            scope[_CSRF] = csrf(secret)
            sent = headers.get(CSRF_HEADER, "")
            guarded = changes and (scope["method"], scope["path"]) not in self._open
            if guarded and not compare_digest(sent.encode(), scope[_CSRF].encode()):
                raise NotAllowed(f"the header {CSRF_HEADER} is missing or of another session; load the page again")
        return who

    def _check_rate(self, scope: Scope, who: Who | None) -> None:
        wait = self._known.take(who.name) if who else self._strangers.take(network(address(scope)))
        if wait:
            raise TooOften("too many requests; ask less often", math.ceil(wait))

    async def _touch(self, who: Who | None) -> None:
        if who is None:
            return
        if who.session is not None:
            await run_in_threadpool(self._access.sessions.touch, who.session)
        elif who.token is not None:
            await run_in_threadpool(self._access.tokens.touch, who.token)


class _Ended(OSError):
    """To an answer that goes on: who asked for it is not known any more."""


class _Watch:
    """Between a request and its answer: bounds the body, sets the cookie, and ends what goes on for too long."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, access: Access, who: Who | None) -> None:
        self._scope, self._receive, self._send, self._access, self._who = scope, receive, send, access, who
        self._left = _BODY_MAX
        self._asked = time.monotonic()
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise PageError(f"the body is longer than {_BODY_MAX} bytes", 413)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _FRESH in self._scope:
            MutableHeaders(scope=message).append("set-cookie", _cookie(self._scope, self._scope[_FRESH]))
        if message.get("more_body") and self._who is not None and time.monotonic() - self._asked > _HOLDS_EACH_S:
            self._asked = time.monotonic()
            if not self._access.holds(self._who):
                self.ended = True
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _Ended
        await self._send(message)


def begin_session(request: Request, secret: str) -> None:
    """Have the answer to a request give the browser a session; "": take it away."""
    request.scope[_FRESH] = secret
    request.scope[_CSRF] = csrf(secret) if secret else ""


def csrf_of(request: Request) -> str:
    """What a page has to send with each change; "" for who asks with a token."""
    return str(request.scope.get(_CSRF, ""))


def address(scope: Scope) -> str:
    """From where a request comes, as the server sees it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _name(scope: Scope) -> str:
    # With this prefix a browser takes it over TLS alone, for this host alone: RFC 6265bis, section 4.1.3.2.
    return f"__Host-{_COOKIE}" if scope["scheme"] == "https" else _COOKIE


def _cookie(scope: Scope, secret: str) -> str:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    life = ABSOLUTE_S if secret else 0
    return f"{_name(scope)}={secret}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"


def _check_origin(scope: Scope, headers: Headers) -> None:
    """Refuse a change that a page of another site asks for; a program that is no browser names no origin."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is None:
        own = site in ("same-origin", "none")
    else:
        scheme, _, host = origin.lower().partition("://")
        own = host == headers.get("host", "").lower() and scheme in ("https", scope["scheme"])
    if not own:
        raise NotAllowed("a page of another site asks for this; use the page that this server shows")


def _check_length(scope: Scope) -> None:
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > _BODY_MAX:
        raise PageError(f"the body is longer than {_BODY_MAX} bytes", 413)
