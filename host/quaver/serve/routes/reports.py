"""Reports: energy, availability, control charts and remaining life, each as JSON, CSV and PDF."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quaver.errors import PageError
from quaver.knowledge import LANGUAGES
from quaver.query.door import EVER_MS
from quaver.reports import KINDS, Question, Report, report
from quaver.reports.paper import pdf
from quaver.reports.run import DEFAULT_QUANTITY
from quaver.reports.sheets import sheet
from quaver.reports.spec import Spec
from quaver.reports.words import as_json
from quaver.serve.endpoints import Call, Endpoint

_DAY_MS = 86_400_000
_DAYS = 30  # of a report that is not told its begin
_MOST_DAYS = 100  # a longer one takes more time than a browser waits
_POINTS = 2000  # of a line of a chart
_NODES = 50

Language = Literal["", "en", "de"]
_Name = Annotated[str, Field(max_length=200)]


class Asked(BaseModel):
    """nodes: names, ids or topic prefixes with commas between; empty: all that have what the report needs.

    topic: all nodes below it. quantity: of control and life. limit: of life; the file's or the node's without it.
    language: the user's without it. since_ms, until_ms: since 1970; by default the last 30 days.
    """

    model_config = ConfigDict(extra="forbid")
    nodes: str = Field("", max_length=_NODES * 200)
    topic: _Name = ""
    quantity: str = Field(DEFAULT_QUANTITY, pattern=r"^[a-z][a-z_0-9.]{0,63}$")
    limit: float | None = Field(None, allow_inf_nan=False)
    since_ms: int | None = Field(None, ge=0, le=EVER_MS)
    until_ms: int | None = Field(None, ge=0, le=EVER_MS)
    language: Language = ""


class AskedSheet(Asked):
    """table: figures, or one of the report's tables or charts by its key; the main one without it."""

    table: str = Field("", max_length=40)


class Figure(BaseModel):
    """text: the value as people read it. why: where there is none. records: [node, first, last, how many]."""

    key: str
    title: str
    subject: str
    value: float | None
    unit: str
    low: float | None
    high: float | None
    text: str
    why: str | None
    records: list[tuple[str, tuple[int, int], tuple[int, int], int]]


class Column(BaseModel):
    key: str
    title: str
    unit: str
    kind: str


class Row(BaseModel):
    cells: list[str]
    records: list[tuple[str, tuple[int, int], tuple[int, int], int]]


class Table(BaseModel):
    key: str
    title: str
    columns: list[Column]
    rows: list[Row]


class Line(BaseModel):
    """kind: line, points, bars, band (values to high), states, interval."""

    key: str
    title: str
    kind: str
    times_ms: list[int]
    values: list[float | None]
    high: list[float]


class Limit(BaseModel):
    key: str
    title: str
    value: float


class Chart(BaseModel):
    key: str
    title: str
    subject: str
    unit: str
    lines: list[Line]
    limits: list[Limit]


class Titled(BaseModel):
    key: str
    title: str


class Shown(BaseModel):
    """A report in words. notes: what is to be known of its figures; definitions: what they are."""

    kind: str
    title: str
    language: str
    nodes: list[str]
    since_ms: int
    until_ms: int
    zone: str
    about: dict[str, Titled]
    figures: list[Figure]
    tables: list[Table]
    charts: list[Chart]
    notes: list[str]
    definitions: list[str]


def _made(call: Call) -> tuple[Report, Spec, str]:
    kind, asked = call.path["kind"], call.query
    assert call.who is not None  # its scope asks for somebody
    if kind not in KINDS:
        raise PageError(f"there is no such report; expected one of {', '.join(KINDS)}", 404)
    state = call.state
    until = state.door.clock_ms() if asked.until_ms is None else asked.until_ms
    since = max(0, until - _DAYS * _DAY_MS) if asked.since_ms is None else asked.since_ms
    if until - since > _MOST_DAYS * _DAY_MS:
        raise PageError(f"the page reports on {_MOST_DAYS} days at most; quaver report takes more")
    spec = Spec(name=state.name[:200], zone=state.zone) if state.reports is None else state.reports
    nodes = tuple(name.strip() for name in asked.nodes.split(",") if name.strip())
    if len(nodes) > _NODES:
        raise PageError(f"{len(nodes)} nodes are too many for one report; name a topic")
    with state.door.source() as source:
        question = Question(kind, since, until, nodes, asked.topic, asked.quantity, asked.limit)
        found = report(source.store, question, spec)
    language = asked.language or (call.who.language if call.who.language in LANGUAGES else "en")
    return found, spec, language


def shown(call: Call) -> dict[str, Any]:
    found, _, language = _made(call)
    return as_json(found, language, _POINTS)


def _file(found: Report, ending: str, part: str = "") -> dict[str, str]:
    name = "-".join(filter(None, (found.kind, part)))
    return {"content-disposition": f'attachment; filename="{name}.{ending}"'}


def as_csv(call: Call) -> Response:
    found, _, language = _made(call)
    text = sheet(found, language, call.query.table)
    return Response(text, headers=_file(found, "csv", call.query.table), media_type="text/csv")


def as_pdf(call: Call) -> Response:
    found, spec, language = _made(call)
    data = pdf(found, language, spec.name, call.state.door.clock_ms())
    return Response(data, headers=_file(found, "pdf"), media_type="application/pdf")


_KIND = "/reports/{kind}"
ENDPOINTS = (
    # Before the last one, whose name would take them.
    Endpoint("GET", f"{_KIND}.csv", "read", "A table of a report.", as_csv, AskedSheet, media="text/csv"),
    Endpoint("GET", f"{_KIND}.pdf", "read", "A report on paper.", as_pdf, Asked, media="application/pdf"),
    Endpoint("GET", _KIND, "read", "Energy, availability, control or life, with records.", shown, Asked, answer=Shown),
)
