"""A node as a row of the plant: where it is, whether it is heard, and what its newest records say."""

from __future__ import annotations

from dataclasses import dataclass

from quaver.query.source import Reading, Source
from quaver_wire.names import ZONES

SILENT_AFTER = 3  # intervals without a record, and a node is gone
_LEAST_SILENT_MS = 60_000
_LEAST_SILENT_VIA_GATEWAY_MS = 3_600_000  # its gateway visits it when it does


def silent_after_ms(state: str, interval_s: float, intervals: float = SILENT_AFTER) -> float:
    """How long a node with that status may say nothing before it is gone."""
    least = _LEAST_SILENT_VIA_GATEWAY_MS if state == "via gateway" else _LEAST_SILENT_MS
    return max(least, intervals * interval_s * 1000)


@dataclass(frozen=True)
class NodeRow:
    """node: its id in hexadecimal. path: of its topic, without its name. state: online, offline, gone or unknown.

    level: ok, warning, alarm or unknown. zone: of ISO 20816-3, 1 is A; None where the node does not judge it. last_ms:
    when it was heard last. battery: None, no node tells one yet. alarms: that stand.
    """

    node: str
    name: str
    topic: str
    path: list[str]
    role: str
    state: str
    level: str
    fault: str | None
    zone: int | None
    last_ms: int | None
    interval_s: int | None
    firmware: str | None
    board: str | None
    battery: None = None
    alarms: int = 0


def rows(source: Source, now_ms: int) -> list[NodeRow]:
    """Of all nodes, by topic."""
    told = {kind: {one.node: one for one in source.newest(kind)} for kind in ("status", "telemetry", "event")}
    return [
        row(node.id.hex(), node.topic, told["status"].get(node.id.hex()), told["telemetry"].get(node.id.hex()),
            told["event"].get(node.id.hex()), now_ms)
        for node in source.store.nodes()
    ]  # fmt: skip


def row(
    node: str, topic: str, status: Reading | None, telemetry: Reading | None, event: Reading | None, now_ms: int
) -> NodeRow:
    """From the newest records of each kind, as far as there are any."""
    said = status.values if status else {}
    measured = telemetry.values if telemetry else {}
    heard = max((one.received_ms for one in (status, telemetry, event) if one), default=None)
    interval = said.get("interval_s")
    state = str(said.get("state", "unknown"))
    shown = {"via gateway": "online"}.get(state, state)
    if heard is not None and interval and now_ms - heard > silent_after_ms(state, interval):
        shown = "gone"
    zone = measured.get("zone")
    *path, name = topic.split("/")
    return NodeRow(
        node=node,
        name=name,
        topic=topic,
        path=path,
        role=str(said.get("role", "node")),
        state=shown if shown in ("online", "offline", "gone") else "unknown",
        level=str(measured.get("level", "ok")) if telemetry else "unknown",
        fault=measured.get("fault"),
        zone=ZONES.index(zone) + 1 if zone in ZONES else None,
        last_ms=heard,
        interval_s=interval,
        firmware=said.get("firmware"),
        board=said.get("board"),
    )
