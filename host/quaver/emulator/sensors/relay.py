"""What hangs on an output of the board: a relay, an LED, a buzzer. It writes down when the board drives it, and how."""

from __future__ import annotations


class Relay:
    """edges: (ns of virtual time, level) of each change. Without a board that drives it, the line is low."""

    def __init__(self) -> None:
        self.edges: list[tuple[int, bool]] = []

    def gpio_driven(self, level: bool, now: int) -> None:
        if level != bool(self.edges and self.edges[-1][1]):
            self.edges.append((now, level))
