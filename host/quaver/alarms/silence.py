"""When a node is taken for gone: what it said last, and how long it may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from quaver.query.nodes import silent_after_ms
from quaver.query.source import Reading


@dataclass
class Heard:
    """Of a node: when a record of it came last, and what its newest status said. interval_s: 0 where it is unknown."""

    topic: str
    at_ms: int
    row: int
    interval_s: float = 0
    state: str = ""
    role: str = "node"

    def hear(self, reading: Reading) -> None:
        if reading.received_ms >= self.at_ms:
            self.topic, self.at_ms, self.row = reading.topic, reading.received_ms, reading.place.row
        if reading.kind == "status" and reading.latest:
            interval = reading.values.get("interval_s")
            self.interval_s = interval if isinstance(interval, (int, float)) else self.interval_s
            self.state = str(reading.values.get("state", ""))
            self.role = str(reading.values.get("role", "node"))

    def missed(self, now_ms: int, intervals: int) -> int:
        """How many intervals it has missed, once they are `intervals` and more than its link may take; else 0.

        A node that is offline has said so, and is not silent.
        """
        silent_ms = now_ms - self.at_ms
        if not self.interval_s or self.state == "offline":
            return 0
        if silent_ms < silent_after_ms(self.state, self.interval_s, intervals):
            return 0
        return int(silent_ms / (self.interval_s * 1000))


def heard_from(reading: Reading) -> Heard:
    """What the first record of a node says."""
    found = Heard(reading.topic, reading.received_ms, reading.place.row)
    found.hear(reading)
    return found
