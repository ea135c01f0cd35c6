"""The bench room: time, memory and bytes of a part of Quaver, measured while it runs, each beside its goal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number. goal: None where there is none; at_least: the goal is a floor and not a ceiling.

    note: what must be known to read it, e.g. that it was measured elsewhere.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal
