"""The type of the API's one table: from it come the routes, the checks of what is asked, and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from quaver.access.roles import SCOPES, Who
from quaver.errors import PageError, QuaverError, TooOften
from quaver.serve.services import Services

WHO = "quaver.who"  # where in a request's scope a middleware puts the Who that it has found
__all__ = ["SCOPES", "WHO", "Call", "Endpoint", "Who", "Words", "adapter_of", "failure", "language_of"]


@dataclass(frozen=True)
class Call:
    """One request, checked. path: what stands for the names in the path. query, body: of the endpoint's models.

    who: None where the endpoint is open and nobody is logged in.
    """

    request: Request
    state: Services
    path: dict[str, str]
    query: Any
    body: Any
    who: Who | None


class Words(BaseModel):
    """language: of the texts; without it that of the user."""

    model_config = ConfigDict(extra="forbid")
    language: Literal["en", "de"] | None = None


def language_of(call: Call) -> str:
    """In which language an answer's texts are to be."""
    asked = call.query.language if isinstance(call.query, Words) else None
    return asked or (call.who.language if call.who else "en")


@dataclass(frozen=True)
class Endpoint:
    """method: GET, POST or DELETE. path: below /api/v1, "/nodes/{node}/series". summary: one sentence, for people.
    scope: of those in SCOPES, what the one who asks has to have; "": to be known is enough. open: to a stranger too.

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
    open: bool = False


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def adapter_of(model: type[Any]) -> TypeAdapter[Any]:
    """What checks an answer of that type, writes it, and knows its schema; made once, for that takes milliseconds."""
    if model not in _adapters:
        _adapters[model] = TypeAdapter(model)
    return _adapters[model]


def failure(error: QuaverError | str, status: int = 400) -> Response:
    """The one form in which the API tells that something is not done. status: where the error does not know its own."""
    status = error.status if isinstance(error, PageError) else status
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, TooOften):
        headers["retry-after"] = str(error.wait_s)
    line = {"error": " ".join(str(error).split())}
    return Response(orjson.dumps(line), status, headers, media_type="application/json")
