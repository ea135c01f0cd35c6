"""Alarms: the list, what a person does to one, and the figures of the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from quaver.alarms import figures, groups
from quaver.alarms.base import Alarm
from quaver.alarms.conditions import GONE
from quaver.alarms.engine import TEXT_MAX, Engine
from quaver.alarms.states import ANNUNCIATED, STATES, State
from quaver.alarms.tables import CAUSES
from quaver.alarms.view import Row, Whole, row, text_of, whole
from quaver.errors import PageError
from quaver.serve.acts import noted
from quaver.serve.endpoints import Call, Endpoint, Words, language_of
from quaver.serve.watch import told

_DAY_MS = 86_400_000
_MOST_DAYS = 366

Text = Annotated[str, Field(max_length=TEXT_MAX)]
Short = Annotated[str, Field(max_length=100)]
Time = Annotated[int, Field(ge=0, le=10**14)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListQuery(Words):
    """state: one of the states, "standing" for what is not put aside, "all"; without it all but normal."""

    state: Literal["standing", "all"] | State | None = None
    node: Short | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class SpanQuery(Words):
    """Without a begin the last 30 days. positions: operators among whom alarms are shared."""

    by: figures.By = "cause"
    since_ms: Time | None = None
    until_ms: Time | None = None
    positions: Annotated[int, Field(ge=1, le=100)] = 1


class Said(_Model):
    """What somebody says beside an act: a text, a cause of the table, the number of a work order."""

    text: Text = ""
    cause: Short | None = None
    work_order: Short = ""


class SaidOfAll(Said):
    """alarms: the numbers of those that somebody saw and means."""

    alarms: Annotated[list[Annotated[int, Field(ge=1, le=10**15)]], Field(min_length=1, max_length=1000)]


class Shelf(_Model):
    until_ms: Time
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    work_order: Short = ""


class Out(_Model):
    review_ms: Time
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    work_order: Short = ""


class Nothing(_Model):
    pass


@dataclass(frozen=True)
class Cause:
    code: str
    title: str


@dataclass(frozen=True)
class Group(groups.Group):
    """text: of the lead."""

    text: str


@dataclass(frozen=True)
class AlarmList:
    """counts: of all alarms, by state. reviews: numbers of those out of service whose review is due.

    groups: the same alarms, those of one trouble as one. lists_from_ms: what was over before that is history and asks
    for nobody, None before the first record.
    """

    now_ms: int
    lists_from_ms: int | None
    alarms: list[Row]
    groups: list[Group]
    counts: dict[str, int]
    reviews: list[int]
    causes: list[Cause]


@dataclass(frozen=True)
class Acknowledged:
    """Those of the alarms that still needed it."""

    alarms: list[Row]


@dataclass(frozen=True)
class Bar:
    """As alarms.figures.Bar. title: of the key, for people."""

    key: str
    title: str
    count: int
    duration_ms: int
    share: float
    cumulative: float
    alarms: tuple[int, ...]


@dataclass(frozen=True)
class Pareto:
    since_ms: int
    until_ms: int
    by: figures.By
    bars: list[Bar]


@dataclass(frozen=True)
class Chatter:
    """As alarms.figures.Chatter, with the alarm's node and text."""

    alarm: int
    name: str
    text: str
    count: int
    most: int
    within_ms: int


@dataclass(frozen=True)
class Figures:
    """rates beside what a person can handle: the first of each pair is very likely acceptable, the second the most."""

    since_ms: int
    until_ms: int
    rates: figures.Rates
    acceptable: dict[str, tuple[int, int]]
    stale: list[Row]
    chattering: list[Chatter]


def _engine(call: Call) -> Engine:
    engine = call.state.alarms
    if not isinstance(engine, Engine):
        raise PageError("alarms are not followed here; start quaver serve", 503)
    return engine


def _number(call: Call) -> int:
    text = call.path["id"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise PageError("the number of an alarm is a whole number", 404)
    return int(text)


def alarms(call: Call) -> AlarmList:
    engine, language, now_ms = _engine(call), language_of(call), call.state.door.clock_ms()
    asked = call.query.state
    states: tuple[State, ...] = (
        () if asked is None else ANNUNCIATED if asked == "standing" else STATES if asked == "all" else (asked,)
    )
    found = engine.listed(states, call.query.node, call.query.limit)
    causes = [Cause(code, titles[language == "de"]) for code, titles in CAUSES.items()]
    reviews = [alarm.id for alarm in engine.reviews(now_ms)]
    rows = {alarm.id: row(engine, alarm, language) for alarm in found}
    together = [Group(**vars(one), text=rows[one.lead].text) for one in groups.grouped(found)]
    since_ms = engine.lists_from_ms or None
    return AlarmList(now_ms, since_ms, list(rows.values()), together, engine.counts(), reviews, causes)


def alarm(call: Call) -> Whole:
    engine = _engine(call)
    return whole(engine, engine.get(_number(call)), language_of(call))


def _act(what: str, do: Callable[[Engine, int, str, int, Any], Alarm]) -> Callable[[Call], Row]:
    """The handler of one act: done, written to the audit trail, told to who watches."""

    def handler(call: Call) -> Row:
        engine, number, now_ms = _engine(call), _number(call), call.state.door.clock_ms()
        who = noted(call)
        changed = do(engine, number, who.name, now_ms, call.body)
        who.write(what, f"alarm {number}", {"node": changed.node, "subject": changed.subject, **call.body.model_dump()})
        _tell(call, engine, changed)
        return row(engine, changed, language_of(call))

    return handler


def acknowledge_all(call: Call) -> Acknowledged:
    """One act and one comment; each alarm is in the audit trail by itself."""
    engine, body, language = _engine(call), call.body, language_of(call)
    who = noted(call)
    said = body.model_dump(exclude={"alarms"})
    changed = engine.acknowledge_all(body.alarms, who.name, call.state.door.clock_ms(), **said)
    for one in changed:
        about = {"node": one.node, "subject": one.subject, "together_with": len(changed) - 1, **said}
        who.write("alarm acknowledged", f"alarm {one.id}", about)
        _tell(call, engine, one)
    return Acknowledged([row(engine, one, language) for one in changed])


def _tell(call: Call, engine: Engine, changed: Alarm) -> None:
    if call.state.hub is not None:
        for language, one in told(engine, changed).items():
            call.state.hub.tell("alarm", one, language)


def _span(call: Call) -> tuple[int, int]:
    until_ms = call.query.until_ms or call.state.door.clock_ms()
    since_ms = call.query.since_ms if call.query.since_ms is not None else until_ms - 30 * _DAY_MS
    if not 0 < until_ms - since_ms <= _MOST_DAYS * _DAY_MS:
        raise PageError(f"the begin is to be before the end, and at most {_MOST_DAYS} days before it")
    return since_ms, until_ms


def pareto(call: Call) -> Pareto:
    engine, by, language = _engine(call), call.query.by, language_of(call)
    since_ms, until_ms = _span(call)
    history = engine.transitions(since_ms, until_ms)
    names = {alarm.node: alarm.topic.rpartition("/")[2] for _, alarm in history}
    found = figures.pareto(figures.occurrences(history), by, since_ms, until_ms)
    unsaid = {"en": "not said", "de": "nicht gesagt"}[language]

    def title(key: str) -> str:
        if by == "cause":
            return CAUSES[key][language == "de"] if key in CAUSES else unsaid
        return names.get(key) or key if by == "node" else key

    bars = [Bar(**vars(bar), title=title(bar.key)) for bar in found]
    return Pareto(since_ms, until_ms, by, bars)


def rates(call: Call) -> Figures:
    engine, language = _engine(call), language_of(call)
    since_ms, until_ms = _span(call)
    history = engine.transitions(since_ms, until_ms)
    known = {alarm.id: alarm for _, alarm in history}
    found = figures.rates(figures.annunciated(history, engine.begun_ms), since_ms, until_ms, call.query.positions)
    intervals = {node.node: float(node.interval_s or 0) for node in call.state.door.nodes()}
    begun = [one for one in figures.occurrences(history) if one.since_ms >= since_ms and one.subject != GONE]
    return Figures(
        since_ms,
        until_ms,
        replace(found, floods=found.floods[-20:]),
        {"day": figures.PER_DAY, "hour": figures.PER_HOUR, "ten_minutes": figures.PER_TEN_MINUTES},
        [row(engine, one, language) for one in figures.stale(engine.listed(ANNUNCIATED), until_ms)],
        [
            Chatter(
                **vars(one), name=known[one.alarm].topic.rpartition("/")[2], text=text_of(known[one.alarm], language)
            )
            for one in figures.chattering(begun, intervals)
        ],
    )


def _put_aside(engine: Engine, alarm: Alarm, who: str, now_ms: int, body: Shelf | Out) -> Alarm:
    if body.work_order:
        engine.comment(alarm.id, who, now_ms, body.reason, None, body.work_order)
    return alarm


_acknowledge = _act(
    "alarm acknowledged", lambda e, n, who, now, b: e.acknowledge(n, who, now, b.text, b.cause, b.work_order)
)
_comment = _act("alarm commented", lambda e, n, who, now, b: e.comment(n, who, now, b.text, b.cause, b.work_order))
_shelve = _act(
    "alarm shelved",
    lambda e, n, who, now, b: _put_aside(e, e.shelve(n, who, now, b.until_ms, b.reason), who, now, b),
)
_unshelve = _act("alarm unshelved", lambda e, n, who, now, b: e.unshelve(n, who, now))
_out = _act(
    "alarm taken out of service",
    lambda e, n, who, now, b: _put_aside(e, e.out_of_service(n, who, now, b.review_ms, b.reason), who, now, b),
)
_in = _act("alarm put back in service", lambda e, n, who, now, b: e.in_service(n, who, now))

ENDPOINTS = (
    Endpoint("GET", "/alarms", "read", "Alarms, the worst first.", alarms, query=ListQuery, answer=AlarmList),
    Endpoint("GET", "/alarms/pareto", "read", "What the alarms of a time were of, the most frequent first.", pareto,
             query=SpanQuery, answer=Pareto),
    Endpoint("GET", "/alarms/figures", "read", "How many alarms there are beside what a person can handle.", rates,
             query=SpanQuery, answer=Figures),
    Endpoint("GET", "/alarms/{id}", "read", "One alarm, with its history and what to look at.", alarm, query=Words,
             answer=Whole),
    Endpoint("POST", "/alarms/{id}/acknowledge", "alarms", "Say that somebody knows of it.", _acknowledge, body=Said,
             answer=Row),
    Endpoint("POST", "/alarms/acknowledge", "alarms", "Say of several that somebody knows of them.", acknowledge_all,
             body=SaidOfAll, answer=Acknowledged),
    Endpoint("POST", "/alarms/{id}/comment", "alarms", "Write something beside it.", _comment, body=Said, answer=Row),
    Endpoint("POST", "/alarms/{id}/shelve", "alarms", "Put it aside for at most a week.", _shelve, body=Shelf,
             answer=Row),
    Endpoint("POST", "/alarms/{id}/unshelve", "alarms", "Take it from its shelf.", _unshelve, body=Nothing, answer=Row),
    Endpoint("POST", "/alarms/{id}/out-of-service", "alarms", "Take it out of service until a review.", _out, body=Out,
             answer=Row),
    Endpoint("POST", "/alarms/{id}/in-service", "alarms", "Put it back in service.", _in, body=Nothing, answer=Row),
)  # fmt: skip
