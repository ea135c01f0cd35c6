"""The plan picture, and where on it each node is."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from quaver.errors import PageError
from quaver.serve.endpoints import Call, Endpoint
from quaver.serve.plan import Place


@dataclass(frozen=True)
class PlanShown:
    """image: the picture's path below the API; None where no plan was given."""

    image: str | None
    places: list[Place]


def plan(call: Call) -> PlanShown:
    given = call.state.plan
    if given is None:
        return PlanShown(None, [])
    return PlanShown("plan/image", given.places(call.state.door.nodes()))


def image(call: Call) -> Response:
    given = call.state.plan
    if given is None:
        raise PageError("no plan was given", 404)
    return Response(given.image, media_type=given.media)


ENDPOINTS = (
    Endpoint("GET", "/plan", "read", "The plan picture and where on it each node is.", plan, answer=PlanShown),
    Endpoint("GET", "/plan/image", "read", "The plan picture itself.", image, media="image/*"),
)
