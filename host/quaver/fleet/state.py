"""The present picture of all nodes, made record by record."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver.messages.record import Record
from quaver_wire.fields import LEVELS

_STAYS = ("peaks", "bands", "lines")


@dataclass
class NodeState:
    """What is known of one node: its last status, its last telemetry, the levels that stand."""

    prefix: str
    state: str = "unknown"
    board: str = ""
    firmware: str = ""
    captures: int = 0
    last_seen: float = 0.0
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """The worst level that stands: of the last telemetry and of every event not yet cleared."""
        levels = [str(self.telemetry.get("level", "ok")), *self.raised.values()]
        return max(levels, key=lambda level: LEVELS.index(level) if level in LEVELS else 0)


class Fleet:
    """The present picture of all nodes, updated record by record; `events` keeps the last few."""

    def __init__(self, events: int = 8) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.events: deque[Record] = deque(maxlen=events)

    def update(self, record: Record) -> NodeState:
        node = self.nodes.setdefault(record.node, NodeState(record.node))
        values = record.values
        seen, node.last_seen = node.last_seen, record.received
        if record.kind == "status":
            node.state = values.get("state", node.state)
            node.board = values.get("board", node.board)
            node.firmware = values.get("firmware", node.firmware)
            if node.state == "via gateway" and "time_ms" in values:  # the broker kept it, for months perhaps
                node.last_seen = max(seen, min(record.received, values["time_ms"] / 1000))
        elif record.kind == "telemetry":
            node.captures += 1
            # an ordinary record leaves out its spectrum: the last that came still stands for the machine
            node.telemetry = {**{name: node.telemetry[name] for name in _STAYS if name in node.telemetry}, **values}
        elif record.kind == "event":
            self.events.append(record)
            if values.get("code") == "level":
                subject = str(values.get("subject", ""))
                node.raised[subject] = values.get("event_level", "ok")
                if node.raised[subject] == "ok":
                    del node.raised[subject]
            elif values.get("code") == "boot":
                node.raised.clear()  # a node that starts anew judges anew
        return node
