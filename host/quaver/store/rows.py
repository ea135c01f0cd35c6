"""What the store takes and gives: the rows of its tables, by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

# A copy that comes within this many records of its node is a resend: a node whose acknowledgement was lost, or whose
# power went before it could note one, sends what it has not noted. A copy that comes later is a replay, unless it is
# the broker that says so: what this store did not acknowledge before it was killed comes again, marked.
RESEND_WINDOW = 256


# Of the table `record`, as Row has them.
COLUMNS = "node, boot, seq, class, arrival, tag, received_ms, uptime_ms, time_ms, claimed_ms, body, span"


class Row(NamedTuple):
    """One record as the table has it."""

    node: int
    boot: int
    seq: int
    message_class: str
    arrival: int
    tag: bytes
    received_ms: int
    uptime_ms: int
    time_ms: int | None
    claimed_ms: int | None
    body: str
    span: int = 0


class Claim(NamedTuple):
    """What a record says of the date; received_ms: by the best of what is known; ms."""

    seq: int
    uptime_ms: int
    time_ms: int
    believed: bool
    received_ms: int


@dataclass
class Node:
    """What the store knows of one node; columns of the table of that name."""

    number: int
    id: bytes
    topic: str
    arrivals: int = 0
    received: int = 0
    duplicates: int = 0
    generation: int = 0
    generation_boot: int = 0
    generation_seq: int = 0
    last_time_ms: int | None = None


NODE = ", ".join(column.name for column in fields(Node))  # a store of an older version has another column, unread


@dataclass
class Clock:
    """What the store knows of one boot's clock; columns of the table of that name."""

    node: int
    boot: int
    offset_ms: int | None
    not_before_ms: int | None


@dataclass
class Span:
    """A stretch in which nobody set this machine's clock; columns of the table of that name."""

    number: int
    host_boot: str
    offset_ms: int
    last_ms: int
    shift_ms: int = 0
    uncertain_ms: int | None = 0
    vouched: bool = False

    @property
    def best_ms(self) -> int:
        """This machine's date - its uptime, by the best of what is known."""
        return self.offset_ms + self.shift_ms


@dataclass(frozen=True)
class Copy:
    """A row that the store has already. same: a copy bit by bit; age: records of its node that came since."""

    row: Row
    same: bool
    age: int

    @property
    def resent(self) -> bool:
        return self.same and self.age <= RESEND_WINDOW
