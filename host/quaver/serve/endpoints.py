"""The type of the API's one table: from it come the routes, the checks of what is asked, and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from quaver.serve.services import Services

# Of tokens and roles; "" is an endpoint for who is not logged in yet.
SCOPES = ("read", "alarms", "commands", "configure", "admin")
WHO = "quaver.who"  # where in a request's scope a middleware puts the Who that it has found


@dataclass(frozen=True)
class Who:
    """Who asks, by a session or a token. language: as in quaver.knowledge.LANGUAGES."""

    name: str
    role: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    language: str = "en"


@dataclass(frozen=True)
class Call:
    """One request, checked. path: what stands for the names in the path. query, body: of the endpoint's models.

    who: None where the endpoint's scope is "" and nobody is logged in.
    """

    request: Request
    state: Services
    path: dict[str, str]
    query: Any
    body: Any
    who: Who | None


@dataclass(frozen=True)
class Endpoint:
    """method: GET, POST or DELETE. path: below /api/v1, "/nodes/{node}/series". summary: one sentence, for people.

    handler: awaited, or run in a thread where it is no coroutine function. It returns an `answer`, a model or a
    dataclass, or a dict that one can be made of; where `answer` is None, a response of the type in `media`. It raises
    PageError with the line and the status for what can't be done.
    """

    method: str
    path: str
    scope: str
    summary: str
    handler: Callable[[Call], Awaitable[Any] | Any]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answer: type[Any] | None = None
    media: str = "application/json"


def failure(status: int, line: str, headers: dict[str, str] | None = None) -> Response:
    """The one form in which the API tells that something is not done."""
    return Response(orjson.dumps({"error": line}), status, headers, media_type="application/json")
