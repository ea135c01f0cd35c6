"""An alarm as people and programs read it: one flat object, its text a sentence of the knowledge in their language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quaver.alarms.base import Alarm, Base, Comment, Transition
from quaver.alarms.conditions import GAP
from quaver.alarms.states import OUT, SHELVED
from quaver.knowledge import entries
from quaver.knowledge.sentences import node_text
from quaver.messages.record import one_line

_LIMIT = {"en": "limit", "de": "Grenzwert"}


@dataclass(frozen=True)
class Done:
    """Who did it, and when, in ms since 1970."""

    who: str
    when: int


@dataclass(frozen=True)
class Row:
    """path: of its topic, without its name. text: a sentence. level: alarm or warning. active: whether it is wrong now.

    state: of alarms.states. records: boot and number of the newest records that said something of it. held_by,
    held_why: of what is shelved or out of service. review_ms: when somebody is to look whether that is still right.
    """

    id: int
    node: str
    name: str
    path: list[str]
    subject: str
    text: str
    act: str | None
    level: str
    priority: str
    state: str
    active: bool
    since_ms: int
    cleared_ms: int | None
    acknowledged: Done | None
    shelved_until_ms: int | None
    review_ms: int | None
    held_by: str | None
    held_why: str | None
    cause: str | None
    comments: list[Comment]
    records: list[tuple[int, int]]


@dataclass(frozen=True)
class Whole(Row):
    """check: what to look at first, in its order. history: the newest transition first."""

    means: str | None
    check: list[str]
    history: list[Transition]


def text_of(alarm: Alarm, language: str) -> str:
    """What is wrong, with what was measured."""
    facts = alarm.facts
    known = entries(language)
    titles = [known[key].title for key in facts.get("keys", ()) if key in known]
    text = titles[0] if titles else one_line(facts.get("subject") or alarm.subject)
    unit = str(facts.get("unit", ""))
    if isinstance(facts.get("value"), (int, float)):
        text += f": {_figure(facts['value'], unit, language)}"
        if isinstance(facts.get("limit"), (int, float)):
            text += f" ({_LIMIT.get(language, 'limit')} {_figure(facts['limit'], unit, language)})"
    elif facts.get("text"):
        text += f": {node_text(one_line(facts['text']), language)}"
    elif alarm.subject == GAP and facts.get("gaps"):
        text += f": {'; '.join(node_text(one_line(gap), language) for gap in facts['gaps'])}"
    return text


def _figure(value: float, unit: str, language: str) -> str:
    text = f"{value:.3g} {unit}".rstrip()
    return text.replace(".", ",") if language == "de" else text


def row(base: Base, alarm: Alarm, language: str = "en") -> Row:
    return Row(**_values(base, alarm, language))


def whole(base: Base, alarm: Alarm, language: str = "en") -> Whole:
    advices = [entries(language)[key] for key in alarm.facts.get("keys", ()) if key in entries(language)]
    return Whole(
        **_values(base, alarm, language),
        means=advices[0].means if advices else None,
        check=list(advices[0].check) if advices else [],
        history=base.history(alarm.id),
    )  # fmt: skip


def _values(base: Base, alarm: Alarm, language: str) -> dict[str, Any]:
    known = entries(language)
    *path, name = alarm.topic.split("/")
    return {
        "id": alarm.id,
        "node": alarm.node,
        "name": name or alarm.node,
        "path": path,
        "subject": alarm.subject,
        "text": text_of(alarm, language),
        "act": next((known[key].act for key in alarm.facts.get("keys", ()) if key in known), None),
        "level": alarm.level,
        "priority": alarm.priority,
        "state": alarm.state,
        "active": alarm.active,
        "since_ms": alarm.since_ms,
        "cleared_ms": alarm.cleared_ms,
        "acknowledged": Done(alarm.acknowledged_by or "", alarm.acknowledged_ms) if alarm.acknowledged_ms else None,
        "shelved_until_ms": alarm.until_ms if alarm.state == SHELVED else None,
        "review_ms": alarm.until_ms if alarm.state == OUT else None,
        "held_by": alarm.held_by,
        "held_why": alarm.held_why,
        "cause": alarm.cause,
        "comments": base.comments(alarm.id),
        "records": base.records(alarm.id),
    }
