"""What happens, as it happens: server-sent events (HTML Standard, section 9.2)."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from quaver.errors import AccessError, PageError
from quaver.serve.endpoints import Call, Endpoint

_MOST = 1000  # streams at a time


async def live(call: Call) -> Response:
    hub = call.state.hub
    if hub is None:
        raise PageError("nothing is live here; start quaver serve", 503)
    if hub.browsers >= _MOST:
        raise PageError(f"{_MOST} pages are open already; close some of them", 503)
    who, access = call.who, call.state.access
    assert who is not None  # its scope asks for somebody

    def holds() -> bool:
        try:
            return access is None or access.holds(who)
        except AccessError:
            return False  # who can't be asked about sees no more; a browser comes again

    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(hub.stream(who.language, holds), headers=headers, media_type="text/event-stream")


ENDPOINTS = (
    Endpoint(
        "GET", "/live", "read",
        "Records, alarms and health as they come: events record, alarm, health; behind: load anew.",
        live, media="text/event-stream",
    ),
)  # fmt: skip
