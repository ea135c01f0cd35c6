"""What a sink is: a system that takes readings, in order, and may be down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from quaver.query.source import Reading


class SinkDown(Exception):
    """A sink that can't be reached, or takes nothing, at the moment: it is tried again. Says why.

    again_s: after how long, where that costs nobody anything; None: after pauses that grow.
    """

    def __init__(self, why: str, again_s: float | None = None) -> None:
        super().__init__(why)
        self.again_s = again_s


class Sink(Protocol):
    """name: of its place in the state file. batch: readings that it takes at once.

    A sink may have `trouble`: why what it has taken does not go on from it at the moment, "" when all is well.
    `connect` and `put` raise SinkDown for what another try may mend, and QuaverError for what it can't.
    """

    name: str
    batch: int

    def connect(self, done: int) -> None:
        """done: messages that it had taken by its place."""

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        """Hand over readings; call `note` once, with the messages that it has taken by then, when it has them all.

        Killed before `note`, it gets the same readings again.
        """

    def rest(self, blind: bool = False) -> None:
        """Called a few times a second while there is nothing new. blind: or nobody knows, since the store is away."""

    def close(self) -> None: ...
