"""The application: routes from the table of endpoints, the page's files, the headers that guard a browser.

Nothing is open by default: an endpoint answers only to somebody whom a middleware has put into the request
(endpoints.WHO), and without such a middleware to nobody, unless it is marked `open`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
import logging
import pkgutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quaver.errors import PageError, QuaverError, StoreError
from quaver.messages.record import one_line
from quaver.serve import routes
from quaver.serve.endpoints import WHO, Call, Endpoint, Who, adapter_of, failure
from quaver.serve.middleware import Identify
from quaver.serve.openapi import document
from quaver.serve.services import Services
from quaver.serve.static_files import StaticFiles

API = "/api/v1"
THREADS = 4  # which read the store; each has its own connection to it
_BODY_MAX = 65_536
_PATH_MAX = 200  # characters of a name in a path
_CSP = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_HSTS = "max-age=31536000"
_log = logging.getLogger(__name__)


def all_endpoints() -> tuple[Endpoint, ...]:
    """Of every module in routes/, in the order of their names."""
    found: list[Endpoint] = []
    for module in sorted(pkgutil.iter_modules(routes.__path__), key=lambda module: module.name):
        found += importlib.import_module(f"{routes.__name__}.{module.name}").ENDPOINTS
    return tuple(found)


def create_app(
    services: Services, middleware: Sequence[Middleware] = (), endpoints: Sequence[Endpoint] | None = None
) -> Starlette:
    """The application over `services`, which begin and end with it. middleware: the outermost first, within ours."""
    endpoints = all_endpoints() if endpoints is None else endpoints
    if services.access:
        open_to_all = [(each.method, API + each.path) for each in endpoints if each.open]
        middleware = [Middleware(Identify, access=services.access, open_to_all=open_to_all), *middleware]
    workers = ThreadPoolExecutor(THREADS, "page")
    files = StaticFiles()
    described = functools.cache(lambda: orjson.dumps(document(endpoints, API)))  # once somebody asks

    async def openapi(request: Request) -> Response:
        _allowed(request, "read", False)
        return Response(described(), media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        services.start()
        try:
            yield
        finally:
            workers.shutdown()
            services.close()

    return Starlette(
        routes=[
            Route(f"{API}/openapi.json", openapi, methods=["GET"]),
            *(Route(API + each.path, _route(each, services, workers), methods=[each.method]) for each in endpoints),
            Route("/{path:path}", files.answer, methods=["GET"]),
        ],
        middleware=[
            Middleware(Guard),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
            *middleware,
        ],
        exception_handlers={HTTPException: _http_error, QuaverError: _our_error},
        lifespan=lifespan,
    )


def _route(endpoint: Endpoint, services: Services, workers: ThreadPoolExecutor) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        who = _allowed(request, endpoint.scope, endpoint.open)
        if any(len(value) > _PATH_MAX for value in request.path_params.values()):
            raise PageError("a name in the path is too long", 404)
        call = Call(
            request, services, dict(request.path_params), _query(endpoint, request), await _body(endpoint, request), who
        )
        try:
            if inspect.iscoroutinefunction(endpoint.handler):
                found = await endpoint.handler(call)
            else:
                found = await asyncio.get_running_loop().run_in_executor(workers, endpoint.handler, call)
            if endpoint.answer is None:
                assert isinstance(found, Response), endpoint.path
                return found
            adapter = adapter_of(endpoint.answer)
            found = adapter.validate_python(found) if isinstance(found, dict) else found
            return Response(adapter.dump_json(found), media_type="application/json")
        except QuaverError:
            raise
        except Exception as problem:  # answered here, inside of the guard; nothing else may tell a browser what it was
            _log.error("%s %s", request.method, request.url.path, exc_info=problem)
            return failure("the page failed at this; its log on the server says why", 500)

    return answer


def _allowed(request: Request, scope: str, is_open: bool) -> Who | None:
    who: Who | None = request.scope.get(WHO)
    if is_open:
        return who
    if who is None:
        raise PageError("nobody is logged in; log in, or send a token", 401)
    if not who.may(scope):
        raise PageError(f"{one_line(who.name)} may not do that: it needs the scope {scope}", 403)
    return who


def _query(endpoint: Endpoint, request: Request) -> BaseModel | None:
    given = request.query_params
    if endpoint.query is None:
        return None
    if len(given) != len(given.multi_items()):
        raise PageError("a query names a parameter twice; name it once")
    return _checked(endpoint.query, dict(given))


async def _body(endpoint: Endpoint, request: Request) -> BaseModel | None:
    if endpoint.body is None:
        return None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise PageError("the body is to be JSON, with the content type application/json", 415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY_MAX:
            raise PageError(f"the body is longer than {_BODY_MAX} bytes", 413)
    try:
        values = orjson.loads(bytes(body) or b"{}")
    except orjson.JSONDecodeError:
        raise PageError("the body is no JSON") from None
    return _checked(endpoint.body, values)


def _checked(model: type[BaseModel], values: Any) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PageError(one_line(f"{place}: {first['msg']}" if place else first["msg"])) from None


async def _http_error(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    line = {404: "there is nothing at this address", 405: "this address does not take that method"}
    answer = failure(line.get(problem.status_code, one_line(problem.detail)), problem.status_code)
    answer.headers.update(problem.headers or {})
    return answer


async def _our_error(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, QuaverError)
    return failure(problem, 503 if isinstance(problem, StoreError) else 400)


class Guard:
    """Puts the headers on every answer that tell a browser what it may not do with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _HEADERS | ({"strict-transport-security": _HSTS} if scope["scheme"] == "https" else {})
        if scope["path"].startswith("/api/"):
            headers["cache-control"] = "no-store"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in headers.items() if n.encode() not in there),
                ]
            await send(message)

        await self._app(scope, receive, guarded)
