"""Security events as one stream: of ingest, of nodes, and of the page itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from quaver.alarms.engine import Engine
from quaver.alarms.security import SecurityEvent
from quaver.query.door import EVER_MS
from quaver.serve.endpoints import Call, Endpoint
from quaver.serve.syslog import Forwarder


class SecurityQuery(BaseModel):
    """before: the number of an event, for those before it."""

    model_config = ConfigDict(extra="forbid")
    node: Annotated[str, Field(max_length=64)] | None = None
    source: Literal["ingest", "node", "page"] | None = None
    what: Annotated[str, Field(max_length=100)] | None = None
    since_ms: Annotated[int, Field(ge=0, le=EVER_MS)] | None = None
    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


@dataclass(frozen=True)
class Event(SecurityEvent):
    """level: the severity by RFC 5424, table 2: 4 is a warning, 5 a notice, 6 informational."""

    level: int


@dataclass(frozen=True)
class Kind:
    source: str
    what: str
    count: int


@dataclass(frozen=True)
class Forwarding:
    """Where events are forwarded to. waiting: not handed over yet. dropped: too old to be kept until then. trouble:
    why nothing goes out now, "" where all is well."""

    receiver: str
    waiting: int
    dropped: int
    trouble: str


@dataclass(frozen=True)
class Stream:
    """kinds: of all events that there are, for filters. forwarding: None where nothing is forwarded."""

    events: list[Event]
    kinds: list[Kind]
    forwarding: Forwarding | None = None


def security(call: Call) -> Stream:
    engine, asked = call.state.alarms, call.query
    if not isinstance(engine, Engine):
        return Stream([], [])
    found = engine.security(asked.node, asked.source, asked.what, asked.since_ms, asked.before, asked.limit)
    forwarder = call.state.syslog
    forwarding = None
    if isinstance(forwarder, Forwarder):
        forwarding = Forwarding(forwarder.name, *engine.waiting(forwarder.name), forwarder.trouble)
    events = [Event(**asdict(one), level=one.severity) for one in found]
    return Stream(events, [Kind(*kind) for kind in engine.kinds()], forwarding)


ENDPOINTS = (
    Endpoint("GET", "/security", "read", "Security events, the newest first.", security, query=SecurityQuery,
             answer=Stream),
)  # fmt: skip
