"""Alarms that have one cause, as one row: a worn bearing raises a level, a trend, a zone and a fault, and is one thing.

Only the list is grouped. Each alarm keeps its own state of ISA-18.2, its history and its comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quaver.alarms.base import Alarm
from quaver.alarms.states import STATES, State
from quaver.alarms.tables import PRIORITIES, Trouble, trouble

_ASSET_DEPTH = 4  # site/area/line/asset: a topic that is shorter does not tell machines apart
_FIRST: tuple[State, ...] = ("unack-active", "ack-active", "unack-cleared")  # as the list is ordered


@dataclass(frozen=True)
class Group:
    """Alarms of a machine, or of a node, that the same trouble raises; at least one.

    key: the same at each look. name, path: of the machine where the topic tells it, else of the node. lead: the number
    of the alarm that says it best: the named fault while there is one, else the first of the list. state: the one that
    most needs a person. since_ms: when the first of them was raised. alarms: their numbers, in the list's order.
    """

    key: str
    trouble: Trouble
    name: str
    path: list[str]
    lead: int
    level: str
    priority: str
    state: State
    active: bool
    since_ms: int
    nodes: list[str]
    alarms: list[int]


def grouped(alarms: Iterable[Alarm]) -> list[Group]:
    """In the order in which the first of each stands in the list."""
    found: dict[tuple[str, Trouble], list[Alarm]] = {}
    for alarm in alarms:
        kind = trouble(alarm.subject)
        found.setdefault((_whose(alarm, kind), kind), []).append(alarm)
    return [_group(whose, kind, members) for (whose, kind), members in found.items()]


def _whose(alarm: Alarm, kind: Trouble) -> str:
    """What is in trouble: the machine, which several nodes may watch, or the node itself."""
    asset = alarm.topic.rpartition("/")[0]
    if kind == "machine" and asset.count("/") + 1 >= _ASSET_DEPTH:
        return asset
    return f"{alarm.topic} {alarm.node}"  # two nodes may have had one topic, one after the other


def _group(whose: str, kind: Trouble, members: Sequence[Alarm]) -> Group:
    states = {alarm.state for alarm in members}
    active = [alarm for alarm in members if alarm.active] or members
    lead = next((alarm for alarm in active if alarm.subject == "fault"), active[0])
    *path, name = whose.partition(" ")[0].split("/")
    return Group(
        key=f"{kind} {whose}",
        trouble=kind,
        name=name or lead.node,
        path=path,
        lead=lead.id,
        level="alarm" if any(alarm.level == "alarm" for alarm in active) else "warning",
        priority=next(one for one in PRIORITIES if any(alarm.priority == one for alarm in active)),
        state=next(state for state in (*_FIRST, *STATES) if state in states),
        active=any(alarm.active for alarm in members),
        since_ms=min(alarm.since_ms for alarm in active),
        nodes=sorted({alarm.node for alarm in members}),
        alarms=[alarm.id for alarm in members],
    )
