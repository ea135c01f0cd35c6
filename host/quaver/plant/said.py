"""What the plant said while something was done to it: from the store alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quaver.plant.faults import Injected
from quaver.plant.spec import Plant
from quaver.store.store import Store
from quaver_wire.fields import EVENTS, FAULTS

_ALARM = 2
_AFTER_S = 300.0  # for which what is said belongs to a fault that is over
_LATE_S = 30.0  # after which a record that comes is late
_TOLD = {EVENTS.index(name): name for name in ("sensor_failed", "sensor_recovered", "flash_failed", "records_dropped",
         "message_refused", "task_restarted", "low_memory", "hung", "value_absent", "config_invalid")}  # fmt: skip
_REFUSALS = {
    "replay": ("replay", "conflict"),
    "forged": ("wrong_key", "malformed", "unknown_node", "wrong_version"),
    "clock": ("clock",),
}


@dataclass(frozen=True)
class Said:
    """An event of a node, at seconds of the plant's time: "alarm" with the feature, "fault" with its name, "boot", or
    another of the wire format's, with its subject.
    """

    at: float
    node: str
    event: str
    subject: str


def said(plant: Plant, store: Store) -> list[Said]:
    """In order of time."""
    begin = plant.start.timestamp() * 1000
    found = []
    for topic, time_ms, body in store.query(
        "SELECT topic, time_ms, body FROM dated WHERE class = 'event' ORDER BY time_ms, boot, seq"
    ):
        values = json.loads(body)
        at, node, code = (time_ms - begin) / 1000, topic.rpartition("/")[2], values.get("code")
        name = EVENTS[code] if isinstance(code, int) and code < len(EVENTS) else ""
        if name == "level" and values.get("event_level") == _ALARM:
            found.append(Said(at, node, "alarm", values.get("subject", "")))
        elif name == "fault":
            found.append(Said(at, node, "fault", values.get("subject", "") or FAULTS[values.get("fault", 0)]))
        elif name == "boot":
            found.append(Said(at, node, "boot", values.get("text", "")))
        elif code in _TOLD:
            found.append(Said(at, node, name, values.get("subject", "")))
    return found


def answers(plant: Plant, store: Store, done: Sequence[Injected], told: Iterable[Said]) -> list[str]:
    """For each fault, in a few words, what the plant said of it."""
    told = list(told)
    begin = plant.start.timestamp() * 1000
    late = [
        (topic.rpartition("/")[2], (received_ms - begin) / 1000, (received_ms - time_ms) / 1000)
        for topic, time_ms, received_ms in store.query(
            "SELECT topic, time_ms, received_ms FROM dated WHERE class != 'status' AND abs(received_ms - time_ms) > ?",
            (1000 * _LATE_S,),
        )
    ]
    heard = dict(store.query("SELECT topic, max(received_ms) FROM dated WHERE class != 'status' GROUP BY topic"))
    last = {topic.rpartition("/")[2]: (received_ms - begin) / 1000 for topic, received_ms in heard.items()}
    refused: Counter[str] = Counter()
    for reason, count in store.query("SELECT reason, sum(count) FROM security_event GROUP BY reason"):
        refused[reason] += count
    return [_answer(one, told, late, last, refused) for one in done]


def _answer(
    one: Injected,
    told: Sequence[Said],
    late: Sequence[tuple[str, float, float]],
    last: dict[str, float],
    refused: Counter[str],
) -> str:
    until = one.ends + _AFTER_S
    parts = []
    events = Counter(
        f"{said.event} {said.subject}".strip() if said.event != "boot" else "boot"
        for said in told
        if said.node == one.node and one.at <= said.at <= until
    )
    parts += [f"{count} x {event}" if count > 1 else event for event, count in events.items()]
    delays = [delay for node, at, delay in late if node == (one.node or node) and one.at <= at <= until]
    behind, ahead = [delay for delay in delays if delay > 0], [-delay for delay in delays if delay < 0]
    if behind:
        parts.append(f"{len(behind)} records late, by up to {max(behind):.0f} s")
    if ahead:
        parts.append(f"{len(ahead)} records dated up to {max(ahead):.0f} s ahead")
    if one.kind == "retire" and one.node in last:
        parts.append(f"its last record came {last[one.node] - one.at:.0f} s after")
    parts += [f"{refused[r]} {r} refused in all" for r in _REFUSALS.get(one.kind, ()) if refused[r]]
    return ", ".join(parts) or "nothing"
