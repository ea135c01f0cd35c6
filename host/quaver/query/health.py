"""How well records come: what was refused, how they are dated, how far behind they are, how much room they take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from quaver.query.source import Reading, Source
from quaver.store.ledger import Account, Stranger, ledger

_PARTS = ("", "-wal", "-shm")  # of a SQLite file


@dataclass(frozen=True)
class Refusal:
    """What was refused of a node for one reason. node: its id as the message bore it, "" for none. topic: "" where it
    is no node's of this store. detail: of the last one."""

    node: str
    topic: str
    reason: str
    count: int
    first_ms: int
    last_ms: int
    detail: str


def refusals(source: Source) -> list[Refusal]:
    """All that ingest refused, or flagged: the newest first."""
    topics = {node.id.hex(): node.topic for node in source.store.nodes()}
    sql = (
        "SELECT node, reason, count, first_ms, last_ms, detail FROM security_event ORDER BY last_ms DESC, node, reason"
    )
    return [Refusal(row[0], topics.get(row[0], ""), *row[1:]) for row in source.store.query(sql)]


def accounts(source: Source) -> tuple[list[Account], list[Stranger]]:
    """The ledger; it reads the numbers of all records."""
    return ledger(source.store)


@dataclass(frozen=True)
class NodeClock:
    """How a node's records are dated. dated_by: of its newest telemetry: node (its own clock), offset (its clock was
    set later in that boot), receipt, or "" where there is none. behind_ms: from then until it came. by_receipt,
    uncertain_ms, flagged, redated: as in store.ledger.Account."""

    node: str
    topic: str
    dated_by: str
    behind_ms: int | None
    by_receipt: int
    uncertain_ms: int | None
    flagged: int
    redated: int


@dataclass(frozen=True)
class HostClock:
    """A stretch in which nobody set this machine's clock. shift_ms: by which it was off, as is known since.

    vouched: whether a time server kept it.
    """

    number: int
    last_ms: int
    shift_ms: int
    uncertain_ms: int | None
    vouched: bool


def node_clocks(source: Source, found: list[Account]) -> list[NodeClock]:
    """found: what `accounts` gave."""
    newest = {one.node: one for one in source.newest("telemetry")}
    return [
        NodeClock(one.id, one.topic, newest[one.id].dated_by if one.id in newest else "", _behind(newest.get(one.id)),
                  one.by_receipt, one.uncertain_ms, one.flagged, one.redated)
        for one in found
    ]  # fmt: skip


def host_clocks(source: Source) -> list[HostClock]:
    """The newest first."""
    spans = sorted(source.store.spans(), key=lambda span: -span.number)
    return [HostClock(s.number, s.last_ms, s.shift_ms, s.uncertain_ms, bool(s.vouched)) for s in spans if s.number]


def _behind(reading: Reading | None) -> int | None:
    if reading is None or reading.time_ms is None or reading.dated_by == "receipt":
        return None  # its receipt dates it: that tells nothing of how long it took
    return max(0, reading.received_ms - reading.time_ms)


@dataclass(frozen=True)
class Size:
    """bytes: of the store. free, whole: of the disk that it is on, None for a server's: that is not seen from here."""

    kind: str
    bytes: int
    free: int | None
    whole: int | None


def size(source: Source) -> Size:
    if source.store.shared:
        return Size(
            "PostgreSQL", int(source.store.query("SELECT pg_database_size(current_database())")[0][0]), None, None
        )
    location = source.store.path
    parts = [Path(f"{location}{part}") for part in _PARTS]
    disk = shutil.disk_usage(location.parent)
    return Size("SQLite", sum(part.stat().st_size for part in parts if part.exists()), disk.free, disk.total)


@dataclass(frozen=True)
class Lag:
    """last_ms: when the newest record of all was received, None for an empty store. behind_ms: of the newest telemetry
    of each node, from its measurement until it came: the middle one, and the longest. late: nodes with over a minute.
    """

    last_ms: int | None
    middle_ms: int | None
    longest_ms: int | None
    late: int


def lag(source: Source) -> Lag:
    newest = source.newest("telemetry")
    last = max((one.received_ms for one in (*newest, *source.newest("status"))), default=None)
    behind = sorted(ms for one in newest if (ms := _behind(one)) is not None)
    if not behind:
        return Lag(last, None, None, 0)
    return Lag(last, behind[len(behind) // 2], behind[-1], sum(ms > 60_000 for ms in behind))
