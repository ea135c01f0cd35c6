"""Commands to a node with their answers, and what another configuration would have alarmed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from quaver.errors import PageError
from quaver.serve.acts import noted
from quaver.serve.endpoints import Call, Endpoint
from quaver.serve.operate import VERBS, Commands, Operation

_DAYS = 30  # of records that a what-if asks
_DAY_MS = 86_400_000

_asking = threading.Lock()
_Path = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+){0,4}$", max_length=80)]


class Command(BaseModel):
    """name: what the node is to do. args: {"changes": {path: value}} of config_set; else none."""

    model_config = ConfigDict(extra="forbid")
    name: Literal["identify", "measure", "waveform", "alarm_waveform", "relearn", "config_get", "config_set"]
    args: dict[Literal["changes"], Annotated[dict[_Path, Any], Field(min_length=1, max_length=50)]] = Field(
        default_factory=dict
    )


class Change(BaseModel):
    """change: {path: value} of the node's configuration. days: of the newest records."""

    model_config = ConfigDict(extra="forbid")
    change: Annotated[dict[_Path, Any], Field(min_length=1, max_length=50)]
    days: int = Field(_DAYS, ge=1, le=400)


@dataclass(frozen=True)
class Sent:
    id: int


@dataclass(frozen=True)
class Operations:
    commands: list[Operation]


@dataclass(frozen=True)
class WhatIf:
    """lines: the answer in words. answer: all of it, as `quaver what-if --json` prints it."""

    lines: list[str]
    answer: dict[str, Any]


def _commands(call: Call) -> Commands:
    if call.state.commands is None:
        raise PageError("this page sends no commands: start quaver serve with --operator and --broker", 409)
    return call.state.commands


def _node(call: Call) -> str:
    with call.state.door.source() as source:
        return call.state.door.find(source, call.path["node"]).id.hex()


def send(call: Call) -> Sent:
    commands, node, asked = _commands(call), _node(call), call.body
    scope = VERBS[asked.name][0]
    if call.who is None or not call.who.may(scope):
        raise PageError(f"you may not {asked.name}: it needs the scope {scope}", 403)
    who = noted(call)
    # What a configuration is set to may be a password: the trail has the names alone.
    who.write("command", node, {"name": asked.name, "changes": sorted(asked.args.get("changes", ()))})
    return Sent(commands.send(node, asked.name, asked.args, who.name))


def sent(call: Call) -> Operations:
    return Operations([_shown(one) for one in _commands(call).listed(_node(call))])


def _shown(one: Operation) -> Operation:
    """Without values that it set: one may be a password."""
    return Operation(one.id, one.name, one.who, one.sent_ms, one.state, one.answer, one.error)


def what_if(call: Call) -> WhatIf:
    from quaver.twin import what_if as twin

    node = _node(call)
    config = call.state.commands.config(node) if call.state.commands is not None else None
    since_ms = time.time_ns() // 1_000_000 - call.body.days * _DAY_MS
    if not _asking.acquire(blocking=False):
        raise PageError("somebody asks what if already, and it takes all of a processor; try again in a minute", 503)
    try:
        with call.state.door.source() as source:
            found = twin.what_if(
                source.store, node, call.body.change, config=config or {}, given=config is not None, since_ms=since_ms
            )
    finally:
        _asking.release()
    told, would = twin.alarms(found.told), twin.alarms(found.would)
    lines = [
        f"{len(found.measured)} measurements of the last {call.body.days} days",
        f"alarms as the node told them: {told}; with the change: {would}",
    ]
    if config is None:
        lines.append("the node's own configuration is not known here: read it first, for a surer answer")
    if not found.certain:
        lines.append(f"not certain: {len(found.unexplained)} changes of level are told by only one of both")
    notes = [note for note in found.notes if config is not None or "--config" not in note]
    return WhatIf([*lines, *notes], found.as_json())


_NODE = "/nodes/{node}"
ENDPOINTS = (
    Endpoint("POST", f"{_NODE}/commands", "commands", "Send a command to the node.", send, body=Command, answer=Sent),
    Endpoint("GET", f"{_NODE}/commands", "read", "What was sent, and what came of it.", sent, answer=Operations),
    Endpoint(
        "POST", f"{_NODE}/what-if", "read", "What another configuration would have alarmed.", what_if, body=Change,
        answer=WhatIf,
    ),
)  # fmt: skip
