"""A node as a row of the plant: where it is, whether it is heard, and what its newest records say."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from quaver.query.source import Place, Reading, Source
from quaver.store.rows import Node
from quaver_wire.names import ZONES

SILENT_AFTER = 3  # intervals without a record, and a node is gone
_BATCH = 5000
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


class Fleet:
    """The newest status and telemetry of each node; read from the store once, and then as it grows. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place: Place | None = None
        self._status: dict[int, Reading] = {}
        self._telemetry: dict[int, Reading] = {}
        self._heard: dict[int, int] = {}

    def rows(self, source: Source, now_ms: int) -> list[NodeRow]:
        """Of all nodes, by topic."""
        with self._lock:
            self._follow(source)
            return [
                _row(
                    node,
                    self._status.get(node.number),
                    self._telemetry.get(node.number),
                    self._heard.get(node.number),
                    now_ms,
                )
                for node in source.store.nodes()
            ]

    def telemetry(self, source: Source, node: Node) -> Reading | None:
        with self._lock:
            self._follow(source)
            return self._telemetry.get(node.number)

    def _follow(self, source: Source) -> None:
        end = source.end()
        if self._place is None or end.row < self._place.row:
            self._status, self._telemetry, self._heard = {}, {}, {}
            for node in source.store.nodes():
                status = source.newest_status(node.number)
                for one in (*source.newest_of(node.number, "telemetry"), *([status] if status else [])):
                    self._hear(one)
            self._place = end
        while (place := self._place) != end and (readings := source.after(place, _BATCH)):
            for one in readings:
                self._hear(one)
            self._place = readings[-1].place

    def _hear(self, one: Reading) -> None:
        node = one.place.node
        self._heard[node] = max(self._heard.get(node, 0), one.received_ms)
        if one.kind == "status":
            held = self._status.get(node)
            if held is None or (one.place.boot, one.place.row) >= (held.place.boot, held.place.row):
                self._status[node] = one
        elif one.kind == "telemetry":
            held = self._telemetry.get(node)
            if held is None or one.place[2:] >= held.place[2:]:
                self._telemetry[node] = one


def _row(node: Node, status: Reading | None, telemetry: Reading | None, heard_ms: int | None, now_ms: int) -> NodeRow:
    said = status.values if status else {}
    measured = telemetry.values if telemetry else {}
    interval = said.get("interval_s")
    state = str(said.get("state", "unknown"))
    shown = "online" if state == "via gateway" else state
    if heard_ms is not None and interval and now_ms - heard_ms > silent_after_ms(state, interval):
        shown = "gone"
    zone = measured.get("zone")
    *path, name = node.topic.split("/")
    return NodeRow(
        node=node.id.hex(),
        name=name,
        topic=node.topic,
        path=path,
        role=str(said.get("role", "node")),
        state=shown if shown in ("online", "offline", "gone") else "unknown",
        level=str(measured.get("level", "ok")) if telemetry else "unknown",
        fault=measured.get("fault"),
        zone=ZONES.index(zone) + 1 if zone in ZONES else None,
        last_ms=heard_ms,
        interval_s=interval,
        firmware=said.get("firmware"),
        board=said.get("board"),
    )
