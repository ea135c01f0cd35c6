"""Rollouts: waves, what they wait for, every node; pause and resume as `quaver rollout` does them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from quaver.errors import PageError
from quaver.rollout.desk import Desk
from quaver.rollout.engine import UNDER_WAY, Member
from quaver.rollout.plan import failures_borne, wave_names
from quaver.rollout.state import Rollout
from quaver.serve.acts import noted
from quaver.serve.endpoints import Call, Endpoint


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Wave:
    """name: "canary", or how much of all has the release at its end. states: of its nodes, how many are in each."""

    name: str
    nodes: int
    states: dict[str, int]


@dataclass(frozen=True)
class Gate:
    """By what it pauses, and how long a step and a watch may take. failed: nodes that count; borne: at which it
    pauses."""

    failed: int
    borne: int
    concurrency: int
    step_s: float
    watch_s: float
    windows: list[str]


@dataclass(frozen=True)
class Node:
    node: str
    topic: str
    wave: int
    state: str
    reason: str
    failures: int
    since_ms: int


@dataclass(frozen=True)
class View:
    """expires_ms: until then a node may get the release. last: whether it can be paused and resumed at all."""

    rollout: int
    release: int
    version: str
    to: list[str]
    state: str
    why: str
    started_ms: int
    expires_ms: int
    last: bool
    under_way: int
    waves: list[Wave]
    gate: Gate
    nodes: list[Node]


@dataclass(frozen=True)
class List:
    """resumable: whether this page has what resuming takes: an operator's keys and a broker."""

    resumable: bool
    rollouts: list[View]


def _desk(call: Call) -> Desk:
    desk = call.state.rollouts
    if not isinstance(desk, Desk):
        raise PageError("rollouts are not known here; start quaver serve with --rollouts", 409)
    return desk


def _view(rollout: Rollout, members: list[Member], last: bool) -> View:
    names = wave_names([member.wave for member in members])
    waves = []
    for number, name in enumerate(names):
        states = Counter(member.state for member in members if member.wave == number)
        waves.append(Wave(name, sum(states.values()), dict(states)))
    gate = Gate(
        sum(member.counted for member in members), failures_borne(len(members)), rollout.rules.concurrency,
        rollout.rules.step_s, rollout.rules.watch_s, list(rollout.windows),
    )  # fmt: skip
    nodes = [
        Node(one.id.hex(), one.prefix, one.wave, one.state, one.reason, one.failures, int(1000 * one.since))
        for one in members
    ]
    return View(
        rollout.number, rollout.sequence, rollout.version, list(rollout.selectors), rollout.state, rollout.why,
        int(1000 * rollout.started), int(1000 * rollout.rules.expires), last,
        sum(member.state in UNDER_WAY for member in members), waves, gate, nodes,
    )  # fmt: skip


def rollouts(call: Call) -> List:
    desk = call.state.rollouts
    if not isinstance(desk, Desk):
        return List(False, [])
    found = desk.rollouts()
    return List(desk.way is not None, [_view(*one, last=not place) for place, one in enumerate(found)])


def _act(call: Call, what: str) -> List:
    desk, text = _desk(call), call.path["id"]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise PageError("the number of a rollout is a whole number", 404)
    who = noted(call)
    if what == "pause":
        desk.pause(int(text), who.name)
    else:
        desk.resume(int(text))
    who.write(f"rollout {what}d", f"rollout {text}")
    return rollouts(call)


ENDPOINTS = (
    Endpoint("GET", "/rollouts", "read", "The rollouts, the last one first, with every node.", rollouts, answer=List),
    Endpoint("POST", "/rollouts/{id}/pause", "configure", "Tell no more nodes to take the release.",
             lambda call: _act(call, "pause"), body=Nothing, answer=List),
    Endpoint("POST", "/rollouts/{id}/resume", "configure", "Go on with a rollout that is paused, or that nobody runs.",
             lambda call: _act(call, "resume"), body=Nothing, answer=List),
)  # fmt: skip
