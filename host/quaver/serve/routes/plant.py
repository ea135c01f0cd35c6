"""The plant as a whole: its nodes, its ledger, what was refused, its clocks, and how the store does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from quaver.query.door import EVER_MS, Ledger
from quaver.query.health import Clocks, Health, Refusal
from quaver.query.nodes import NodeRow
from quaver.serve.endpoints import Call, Endpoint


@dataclass(frozen=True)
class Plant:
    """now_ms: by this machine. zone: in which its people read times, as of the IANA table."""

    now_ms: int
    zone: str
    name: str
    nodes: list[NodeRow]


@dataclass(frozen=True)
class Refusals:
    refusals: list[Refusal]


class RefusalsQuery(BaseModel):
    """node: its id or name. reason: as it is counted under."""

    model_config = ConfigDict(extra="forbid")
    node: str | None = Field(None, max_length=64)
    reason: str | None = Field(None, max_length=64)
    since_ms: int = Field(0, ge=0, le=EVER_MS)
    limit: int = Field(100, ge=1, le=1000)


def plant(call: Call) -> Plant:
    state = call.state
    standing = state.alarms.standing() if state.alarms is not None else {}
    nodes = [replace(row, alarms=standing.get(row.node, 0)) for row in state.door.nodes()]
    return Plant(state.door.clock_ms(), state.zone, state.name, nodes)


def ledger(call: Call) -> Ledger:
    return call.state.door.ledger()


def refusals(call: Call) -> Refusals:
    asked: RefusalsQuery = call.query
    return Refusals(call.state.door.refusals(asked.node, asked.reason, asked.since_ms, asked.limit))


def clocks(call: Call) -> Clocks:
    return call.state.door.clocks()


def health(call: Call) -> Health:
    return call.state.door.health(call.state.folder)


ENDPOINTS = (
    Endpoint("GET", "/plant", "read", "All nodes, and how each of them is.", plant, answer=Plant),
    Endpoint("GET", "/ledger", "read", "Which records are missing, and why.", ledger, answer=Ledger),
    Endpoint(
        "GET", "/refusals", "read", "What was refused, the newest first.", refusals, RefusalsQuery, answer=Refusals
    ),
    Endpoint("GET", "/clocks", "read", "How records are dated.", clocks, answer=Clocks),
    Endpoint("GET", "/health", "read", "How ingest, store and disk do.", health, answer=Health),
)
