"""How the whole does: refusals, clocks, the store's size, the disk, and how late records come."""

from __future__ import annotations

import platform
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

from quaver import __version__
from quaver.query.rollups import Rollups
from quaver.query.source import Source
from quaver.store.ledger import Account
from quaver.store.location import Location
from quaver.store.store import EXPIRES

_NEWEST = """
SELECT r.received_ms + h.shift_ms, r.received_ms - r.time_ms FROM record r JOIN span h ON h.number = r.span
WHERE r.rowid > ? AND r.time_ms IS NOT NULL AND r.class = 'telemetry' ORDER BY r.rowid DESC LIMIT 100
"""
_NEWEST_ROWS = 1000


@dataclass(frozen=True)
class Refusal:
    """Messages that ingest refused of a node for one reason. node: the id that they bore, "" for none. detail: of the
    last one."""

    node: str
    name: str
    reason: str
    count: int
    first_ms: int
    last_ms: int
    detail: str


@dataclass(frozen=True)
class Expiry:
    """A node's key has an end that is near, or past. day: of that end, ISO 8601; since_ms: when ingest saw it first."""

    node: str
    topic: str
    day: str
    since_ms: int


@dataclass(frozen=True)
class MachineClock:
    """A stretch in which nobody set this machine's clock. shift_ms: by which its receipts are moved since it is known
    better; uncertain_ms: None where nothing bounds it; vouched: a time server kept it."""

    number: int
    last_ms: int
    shift_ms: int
    uncertain_ms: int | None
    vouched: bool


@dataclass(frozen=True)
class NodeClock:
    """How a node's records are dated. set: its newest boot's clock was. by_receipt: records that only their receipt
    dates, uncertain by up to uncertain_ms (None: nothing bounds it). redated: received while this machine's clock was
    off. flagged: that told a date which was not believed."""

    node: str
    topic: str
    boot: int | None
    set: bool
    by_receipt: int
    uncertain_ms: int | None
    redated: int
    flagged: int


@dataclass(frozen=True)
class Clocks:
    machine: list[MachineClock]
    nodes: list[NodeClock]


@dataclass(frozen=True)
class Health:
    """received_ms: when the newest record came. delay_ms: from measurement to receipt, the median of the newest 100
    that the node itself dated; None where there is none. records: that ever came. waiting: not yet in the roll-ups.
    store_bytes: None where the database does not tell it. disk: of the folder of the state, and the store if it lies
    there."""

    now_ms: int
    received_ms: int | None
    delay_ms: int | None
    records: int
    waiting: int
    engine: str
    store_bytes: int | None
    disk_free_bytes: int
    disk_bytes: int
    version: str
    python: str
    store_version: int


def refusals(source: Source, node: str | None, reason: str | None, since_ms: int, limit: int) -> list[Refusal]:
    """The newest first."""
    names = {one.id.hex(): one.topic.rpartition("/")[2] for one in source.store.nodes()}
    sql = """SELECT node, reason, count, first_ms, last_ms, detail FROM security_event
        WHERE last_ms >= ? AND reason <> ? ORDER BY last_ms DESC"""
    found = [Refusal(row[0], names.get(row[0], ""), *row[1:]) for row in source.store.query(sql, (since_ms, EXPIRES))]
    return [one for one in found if node in (None, one.node, one.name) and reason in (None, one.reason)][:limit]


def expiring(source: Source) -> list[Expiry]:
    """Of the nodes of the store, whose key expires soon or has, by what ingest has written down."""
    sql = "SELECT node, first_ms, detail FROM security_event WHERE reason = ? ORDER BY node"
    topics = {one.id.hex(): one.topic for one in source.store.nodes()}
    rows = source.store.query(sql, (EXPIRES,))
    return [Expiry(node, topics[node], day, since_ms) for node, since_ms, day in rows if node in topics]


def clocks(source: Source, accounts: list[Account]) -> Clocks:
    """accounts: the ledger's, which counts what is dated by receipt."""
    sql = "SELECT number, last_ms, shift_ms, uncertain_ms, vouched FROM span ORDER BY number DESC LIMIT 100"
    machine = [
        MachineClock(number, last_ms, shift_ms, uncertain_ms, bool(vouched))
        for number, last_ms, shift_ms, uncertain_ms, vouched in source.store.query(sql)
    ]
    by_topic = {account.topic: account for account in accounts}
    nodes = []
    sql = "SELECT boot, offset_ms FROM clock WHERE node = ? ORDER BY boot DESC LIMIT 1"
    for node in source.store.nodes():
        account = by_topic.get(node.topic)
        newest = source.store.query(sql, (node.number,))
        nodes.append(
            NodeClock(
                node.id.hex(), node.topic, newest[0][0] if newest else None, bool(newest and newest[0][1] is not None),
                account.by_receipt if account else 0, account.uncertain_ms if account else None,
                account.redated if account else 0, account.flagged if account else 0,
            )
        )  # fmt: skip
    return Clocks(machine, nodes)


def health(source: Source, rollups: Rollups | None, location: Location, folder: Path, now_ms: int) -> Health:
    store = source.store
    end = source.end()
    newest = store.query(_NEWEST, (max(0, end.row - _NEWEST_ROWS),))
    last = store.query("SELECT max(received_ms) FROM record WHERE rowid = ?", (end.row,))[0][0]
    disk = shutil.disk_usage(folder)
    if isinstance(location, Path):
        engine = "SQLite"
        files = [location, location.with_name(location.name + "-wal")]
        size: int | None = sum(path.stat().st_size for path in files if path.exists())
    else:
        engine = "PostgreSQL"
        size = int(store.query("SELECT pg_database_size(current_database())")[0][0])
    return Health(
        now_ms=now_ms,
        received_ms=last,
        delay_ms=round(statistics.median(row[1] for row in newest)) if newest else None,
        records=end.row,
        waiting=max(0, end.row - rollups.row()) if rollups else 0,
        engine=engine,
        store_bytes=size,
        disk_free_bytes=disk.free,
        disk_bytes=disk.total,
        version=__version__,
        python=platform.python_version(),
        store_version=store.version,
    )
