"""Bringing nodes into service: what a label says, the list for `quaver provision`, and its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quaver.errors import PageError
from quaver.provision import runs
from quaver.provision.flow import STEPS
from quaver.serve import bringing
from quaver.serve.acts import noted
from quaver.serve.endpoints import Call, Endpoint

_Text = Annotated[str, Field(max_length=200)]


class LabelBody(BaseModel):
    """text: of the label's QR code; or `node`, its id as it is typed, and as text its code or nothing."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(max_length=400)] = ""
    node: Annotated[str, Field(max_length=64)] = ""


class PutBody(LabelBody):
    """The same, and what the plan says of the node; docs/provisioning.md has the columns."""

    name: _Text
    asset: _Text
    site: _Text = ""
    area: _Text = ""
    line: _Text = ""
    group: _Text = ""
    mounting: _Text = ""
    bearing: _Text = ""
    rpm: _Text = ""
    wifi: _Text = ""


@dataclass(frozen=True)
class Run:
    """step: what came last; number: of it among `steps`, 0 for a question or a row that can't be carried out. state:
    working, asking, failed, interrupted or done."""

    step: str
    number: int
    state: str
    why: str
    place: str
    began_ms: int
    since_ms: int


@dataclass(frozen=True)
class Planned:
    """settings: as they were typed. code: whether the list has the code of its label."""

    settings: dict[str, str]
    code: bool
    who: str
    since_ms: int


@dataclass(frozen=True)
class Node:
    """inventory: enrolled, in service or retired; "" for a node that is not in it. place: its topic prefix there, or
    by its own records. state: of the node by its records, "" where none came."""

    node: str
    inventory: str
    place: str
    board: str | None
    firmware: str | None
    state: str
    heard_ms: int | None
    planned: Planned | None
    run: Run | None


@dataclass(frozen=True)
class Label:
    """code: whether the label's code is known now."""

    code: bool
    node: Node


@dataclass(frozen=True)
class View:
    """steps: of a run, in their order. plan: the file with the list on the page's machine; count: nodes in it."""

    steps: list[str]
    plan: str
    count: int
    nodes: list[Node]


def _bringing(call: Call) -> bringing.Bringing:
    if call.state.bringing is None:
        raise PageError("nothing is known of bringing nodes into service here; start quaver serve", 503)
    return call.state.bringing


def _shown(one: bringing.Node) -> Node:
    entry, row = one.entry, one.row
    return Node(
        one.node,
        entry.state if entry else "",
        entry.prefix if entry else row.topic if row else "",
        (entry.board if entry else None) or (row.board if row else None),
        (row.firmware if row else None) or (entry.firmware if entry else None),
        row.state if row else "",
        one.heard_ms,
        _planned(one.planned) if one.planned else None,
        _run(one.run) if one.run else None,
    )


def _planned(one: bringing.Planned) -> Planned:
    return Planned(dict(one.settings), one.code is not None, one.who, int(1000 * one.since))


def _run(one: runs.Run) -> Run:
    number = STEPS.index(one.step) + 1 if one.step in STEPS else 0
    return Run(one.step, number, one.state, one.why, one.place, int(1000 * one.began), int(1000 * one.since))


def view(call: Call) -> View:
    part = _bringing(call)
    nodes = [_shown(one) for one in part.nodes(call.state.door.nodes())]
    return View(list(STEPS), str(part.plan_path), sum(one.planned is not None for one in nodes), nodes)


def label(call: Call) -> Label:
    part = _bringing(call)
    node, code = part.read(call.body.text, call.body.node)
    return Label(code is not None, _shown(part.node(node, call.state.door.nodes())))


def put(call: Call) -> View:
    part, asked = _bringing(call), call.body
    node, code = part.read(asked.text, asked.node)
    settings = {name: getattr(asked, name) for name in bringing.SETTINGS}
    who = noted(call)
    made = part.put(node, code, settings, who.name)
    who.write("node planned", node, dict(made.settings) | {"code": made.code is not None})
    return view(call)


def remove(call: Call) -> View:
    part, node, who = _bringing(call), call.path["node"], noted(call)
    part.remove(node)
    who.write("node unplanned", node)
    return view(call)


def plan(call: Call) -> Response:
    """Without codes: a browser's download folder is no place for them."""
    text = bringing.plan_csv(_bringing(call).listed(), codes=False)
    headers = {"content-disposition": 'attachment; filename="plan.csv"'}
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


ENDPOINTS = (
    Endpoint("GET", "/bringing", "commands", "Nodes that are brought into service: the list, and how far each run is.",
             view, answer=View),
    Endpoint("POST", "/bringing/label", "commands", "Which node a label is of, and what is known of it.", label,
             body=LabelBody, answer=Label),
    Endpoint("POST", "/bringing/nodes", "commands", "Put a node on the list, or change what the list says of it.", put,
             body=PutBody, answer=View),
    Endpoint("DELETE", "/bringing/nodes/{node}", "commands", "Take a node from the list, and forget its last run.",
             remove, answer=View),
    Endpoint("GET", "/bringing/plan.csv", "commands", "The list as a plan for quaver provision, without codes.", plan,
             media="text/csv"),
)  # fmt: skip
