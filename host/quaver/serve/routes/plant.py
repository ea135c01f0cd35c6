"""The plant as a whole: its nodes, and how each of them is."""

from __future__ import annotations

from dataclasses import dataclass

from quaver.query.nodes import NodeRow
from quaver.serve.endpoints import Call, Endpoint


@dataclass(frozen=True)
class Plant:
    """now_ms: by this machine. zone: in which its people read times, as of the IANA table."""

    now_ms: int
    zone: str
    name: str
    nodes: list[NodeRow]


def plant(call: Call) -> Plant:
    state = call.state
    return Plant(state.door.clock_ms(), state.zone, state.name, state.door.nodes())


ENDPOINTS = (Endpoint("GET", "/plant", "read", "All nodes, and how each of them is.", plant, answer=Plant),)
