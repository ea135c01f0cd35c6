"""How well records come: the ledger, what was refused, clocks, lag and room, and security events as a stream."""

from __future__ import annotations

import platform
import shutil
import threading
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from quaver import __version__
from quaver.alarms.engine import Engine
from quaver.alarms.security import SecurityEvent
from quaver.query.health import (
    HostClock,
    Lag,
    NodeClock,
    Refusal,
    Size,
    accounts,
    host_clocks,
    lag,
    node_clocks,
    refusals,
    size,
)
from quaver.query.source import Source
from quaver.serve.endpoints import Call, Endpoint
from quaver.store.ledger import Account, Stranger

_KEPT_MS = 30_000  # an account, which reads the numbers of all records, is shared so long
_GAPS = 50  # of a node in one answer

Short = Annotated[str, Field(max_length=100)]
Time = Annotated[int, Field(ge=0, le=10**14)]
_turn = threading.Lock()
_kept: dict[str, tuple[int, list[Account], list[Stranger]]] = {}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RefusalQuery(_Model):
    node: Short | None = None
    reason: Short | None = None
    since_ms: Time | None = None


class SecurityQuery(_Model):
    """before: the number of an event, for those before it."""

    node: Short | None = None
    source: Literal["ingest", "node", "page"] | None = None
    what: Short | None = None
    since_ms: Time | None = None
    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


@dataclass(frozen=True)
class Gap:
    """Numbers first to last of a boot that nothing explains; last None: all of the boot."""

    boot: int
    first: int
    last: int | None
    count: int


@dataclass(frozen=True)
class Line:
    """As store.ledger.Account. since: the boot and number that the account begins with. more_gaps: not listed here."""

    node: str
    topic: str
    since: tuple[int, int] | None
    boots: tuple[int, int] | None
    received: int
    duplicates: int
    refused: dict[str, int]
    dropped: int
    lost_in_ram: int
    deleted: int
    waiting: int
    unexplained: int
    gaps: list[Gap]
    more_gaps: int


@dataclass(frozen=True)
class Strange:
    """What was refused of an id that is no node's of this store."""

    id: str
    refused: dict[str, int]


@dataclass(frozen=True)
class Ledger:
    """made_ms: when it was counted. unexplained: of all nodes."""

    made_ms: int
    unexplained: int
    nodes: list[Line]
    strangers: list[Strange]


@dataclass(frozen=True)
class Refusals:
    refusals: list[Refusal]


@dataclass(frozen=True)
class Clocks:
    nodes: list[NodeClock]
    host: list[HostClock]


@dataclass(frozen=True)
class Kind:
    source: str
    what: str
    count: int


@dataclass(frozen=True)
class Stream:
    """kinds: of all events that there are, for filters."""

    events: list[SecurityEvent]
    kinds: list[Kind]


@dataclass(frozen=True)
class Disk:
    """Where the page's own state lies."""

    free: int
    whole: int


@dataclass(frozen=True)
class Health:
    """waiting: records that the alarms have not taken yet, None where they are not followed. versions: by name."""

    now_ms: int
    lag: Lag
    store: Size
    state: Disk
    waiting: int | None
    refused: int
    versions: dict[str, str]


def _accounts(call: Call, source: Source) -> tuple[int, list[Account], list[Stranger]]:
    now_ms, key = call.state.door.clock_ms(), str(call.state.door.location)
    with _turn:
        found = _kept.get(key)
        if found is None or not 0 <= now_ms - found[0] < _KEPT_MS:
            _kept.clear()
            found = _kept[key] = (now_ms, *accounts(source))
    return found


def ledger(call: Call) -> Ledger:
    with call.state.door.source() as source:
        made_ms, nodes, strangers = _accounts(call, source)
    lines = [
        Line(
            one.id, one.topic, one.since, one.boots, one.received, one.duplicates, one.refused, one.dropped,
            one.lost_in_ram, one.deleted, one.waiting, one.unexplained,
            [Gap(gap.boot, gap.first, gap.last, gap.count) for gap in one.gaps[:_GAPS]], max(0, len(one.gaps) - _GAPS),
        ) for one in sorted(nodes, key=lambda one: (-one.unexplained, one.topic))
    ]  # fmt: skip
    strange = [Strange(one.id, one.refused) for one in strangers]
    return Ledger(made_ms, sum(one.unexplained for one in nodes), lines, strange)


def refused(call: Call) -> Refusals:
    asked = call.query
    with call.state.door.source() as source:
        found = refusals(source)
    return Refusals([
        one for one in found
        if (asked.node is None or one.node == asked.node) and (asked.reason is None or one.reason == asked.reason)
        and (asked.since_ms is None or one.last_ms >= asked.since_ms)
    ])  # fmt: skip


def clocks(call: Call) -> Clocks:
    with call.state.door.source() as source:
        return Clocks(node_clocks(source, _accounts(call, source)[1]), host_clocks(source))


def security(call: Call) -> Stream:
    engine, asked = call.state.alarms, call.query
    if not isinstance(engine, Engine):
        return Stream([], [])
    found = engine.security(asked.node, asked.source, asked.what, asked.since_ms, asked.before, asked.limit)
    return Stream(found, [Kind(*kind) for kind in engine.kinds()])


def health(call: Call) -> Health:
    state = call.state
    with state.door.source() as source:
        behind, room = lag(source), size(source)
        waiting = source.waiting(state.alarms.place) if isinstance(state.alarms, Engine) else None
        count = sum(one.count for one in refusals(source) if one.reason != "clock")
    disk = shutil.disk_usage(state.folder)
    versions = {"quaver": __version__, "Python": platform.python_version()}
    return Health(
        state.door.clock_ms(), behind, room, Disk(disk.free, disk.total), waiting, count, versions
    )  # fmt: skip


ENDPOINTS = (
    Endpoint("GET", "/ledger", "read", "The account of every node: which records are missing, and what explains it.",
             ledger, answer=Ledger),
    Endpoint("GET", "/refusals", "read", "What ingest refused, by node and reason.", refused, query=RefusalQuery,
             answer=Refusals),
    Endpoint("GET", "/clocks", "read", "How records are dated, and whether this machine's clock was right.", clocks,
             answer=Clocks),
    Endpoint("GET", "/security", "read", "Security events, the newest first.", security, query=SecurityQuery,
             answer=Stream),
    Endpoint("GET", "/health", "read", "How far behind records are, and how much room there is.", health,
             answer=Health),
)  # fmt: skip
