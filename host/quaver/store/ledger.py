"""The ledger: for each node its stored, refused and missing records, and which gaps the node has explained.

Every message of a boot has the next number, from 0. A number that is known to have been given and is not in the store
is missing. It is explained when

    dropped       a run of drops that the node told holds it
    lost in RAM   it lies in the stretch that RAM alone may have held when the power went, as a later boot tells;
                  everything before that stretch must have come
    deleted       it was in this store until a policy deleted it (quaver store retain)

and still waiting when it lies behind the newest telemetry that came: a node sends telemetry in order, events before,
so until the next one comes, what lies behind may be in its journal. All else is unexplained, boots that were skipped
too.

A boot's numbers from ASIDE on are in no account: its statuses bear them, which go past the journal, and of which the
broker publishes the last will or not.

The account of a node begins with the lowest number of the first boot that the store has of it: what was sent before
this store listened is in no account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from quaver.store.removed import removed_runs
from quaver.store.schema import BEST_RECEIPT
from quaver.store.store import EXPIRES, Store

ASIDE = 1 << 23
_GAPS_MAX = 1000  # listed of one node; the rest is counted

# The numbers of each boot as runs without a gap: (boot, first, last).
_RUNS = """
SELECT boot, min(seq), max(seq) FROM (
    SELECT boot, seq, seq - row_number() OVER (PARTITION BY boot ORDER BY seq) AS run FROM record
    WHERE node = ? AND seq < ?
) AS numbered GROUP BY boot, run ORDER BY boot, min(seq)
"""
# The newest telemetry.
_SETTLED = "SELECT boot, seq FROM record WHERE node = ? AND class = 'telemetry' ORDER BY boot DESC, seq DESC LIMIT 1"
# Of each boot whose clock was never set: how many records, and how uncertain their dates are.
_BY_RECEIPT = f"""
SELECT count(*), (SELECT max(e.offset_ms + p.shift_ms - c.not_before_ms, 0) + p.uncertain_ms {BEST_RECEIPT})
FROM record r LEFT JOIN clock c ON c.node = r.node AND c.boot = r.boot
WHERE r.node = ? AND r.time_ms IS NULL AND c.offset_ms IS NULL GROUP BY r.node, r.boot, c.not_before_ms
"""  # noqa: S608  all of it is ours


@dataclass(frozen=True)
class Gap:
    """Numbers first to last of a boot that are missing; last None: all of the boot, nothing of it came."""

    boot: int
    first: int
    last: int | None

    @property
    def count(self) -> int:
        return 1 if self.last is None else self.last - self.first + 1

    def __str__(self) -> str:
        if self.last is None:
            return f"boot {self.boot}: all of it"
        return f"boot {self.boot}: seq {self.first}" + (f" to {self.last}" if self.last > self.first else "")


@dataclass
class Account:
    """One node's line. since: the boot and number that the account begins with. boots: first, last.

    by_receipt: records that only their receipt dates, uncertain by up to uncertain_ms (None: nothing bounds it).
    redated: records that came while this machine's clock was off, and whose receipt was dated anew.
    """

    id: str
    topic: str
    received: int
    duplicates: int
    refused: dict[str, int]
    flagged: int
    since: tuple[int, int] | None
    boots: tuple[int, int] | None
    dropped: int = 0
    lost_in_ram: int = 0
    deleted: int = 0
    waiting: int = 0
    unexplained: int = 0
    by_receipt: int = 0
    uncertain_ms: int | None = 0
    redated: int = 0
    gaps: list[Gap] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Stranger:
    """Refused messages that bore the id of no node of the store."""

    id: str
    refused: dict[str, int]


def ledger(store: Store) -> tuple[list[Account], list[Stranger]]:
    """The account of every node, and what was refused of strangers. Raises StoreError."""
    events: dict[str, dict[str, int]] = {}
    sql = "SELECT node, reason, count FROM security_event WHERE reason <> ?"
    for name, reason, count in store.query(sql, (EXPIRES,)):
        events.setdefault(name, {})[reason] = count
    accounts = []
    for node in store.nodes():
        refused = events.pop(node.id.hex(), {})
        flagged = refused.pop("clock", 0)
        account = Account(
            _shown(node.id),
            node.topic,
            received=node.received,
            duplicates=node.duplicates,
            refused=refused,
            flagged=flagged,
            since=None,
            boots=None,
        )
        _balance(account, store, node.number)
        if store.followed:
            _dates(account, store, node.number)
        accounts.append(account)
    return accounts, [Stranger(name, refused) for name, refused in sorted(events.items())]


def _dates(account: Account, store: Store, number: int) -> None:
    """How the records of a node are dated."""
    account.redated = store.query(
        "SELECT count(*) FROM record JOIN span ON number = span WHERE node = ? AND shift_ms <> 0", (number,)
    )[0][0]
    boots = store.query(_BY_RECEIPT, (number,))
    account.by_receipt = sum(count for count, _ in boots)
    bounds = [bound for _, bound in boots]
    account.uncertain_ms = None if None in bounds else max(bounds, default=0)


def _shown(node_id: bytes) -> str:
    return node_id.hex() if len(node_id) == 8 else node_id.decode(errors="replace")


def _balance(account: Account, store: Store, number: int) -> None:
    boots: dict[int, list[tuple[int, int]]] = {}
    for boot, first, last in store.query(_RUNS, (number, ASIDE)):
        boots.setdefault(boot, []).append((first, last))
    settled: tuple[int, int] = (0, 0)
    for run in removed_runs(store, number):
        boots.setdefault(run.boot, []).append((run.first, run.last))
        account.deleted += run.last - run.first + 1
        if run.kind != "raw":
            settled = max(settled, (run.boot, run.last))
    for runs in boots.values():
        runs.sort()
    if not boots:
        return
    drops: dict[int, list[tuple[int, int]]] = {}
    power: list[tuple[int, int, int]] = []  # boot, first: the stretch's begin; the boot that it ends before
    for boot, first, last, until in store.query(
        "SELECT boot, first, last, until FROM explained WHERE node = ? ORDER BY boot, first", (number,)
    ):
        if last < 0:
            power.append((boot, first, until))
        else:
            drops.setdefault(boot, []).append((first, last))
    newest = store.query(_SETTLED, (number,))
    settled = max(settled, newest[0]) if newest else settled
    begin = min(boots)
    account.since = (begin, boots[begin][0][0])
    account.boots = (begin, max(boots))
    for boot in range(begin, max(boots) + 1):
        start = account.since[1] if boot == begin else 0
        ram = min([first if boot == b else 0 for b, first, until in power if b <= boot < until], default=None)
        for gap, reason in _gaps(boot, start, boots.get(boot, []), drops.get(boot, []), ram):
            _enter(account, gap, reason, settled)


def _enter(account: Account, gap: Gap, reason: str, settled: tuple[int, int]) -> None:
    if reason == "dropped":
        account.dropped += gap.count
    elif reason == "power":
        account.lost_in_ram += gap.count
    elif (gap.boot, gap.first) > settled:
        account.waiting += gap.count
    else:
        account.unexplained += gap.count
        if len(account.gaps) < _GAPS_MAX:
            account.gaps.append(gap)


def _gaps(
    boot: int, start: int, runs: list[tuple[int, int]], dropped: list[tuple[int, int]], ram: int | None
) -> Iterator[tuple[Gap, str]]:
    """The missing numbers of a boot from `start`, cut where their explanation changes; ram: lost in RAM from there."""
    end = max([last for _, last in (*runs, *dropped)], default=-1)
    if ram is not None:
        end = max(end, ram - 1)
    elif end < 0:
        yield Gap(boot, 0, None), "unexplained"
        return
    at = start
    for first, last in (*runs, (end + 1, end + 1)):
        if at < first:
            yield from _explained(boot, at, first - 1, dropped, ram)
        at = max(at, last + 1)


def _explained(
    boot: int, at: int, end: int, dropped: list[tuple[int, int]], ram: int | None
) -> Iterator[tuple[Gap, str]]:
    """The missing numbers `at` to `end`, cut at the edges of what was dropped, and at `ram`."""
    for first, last in (*dropped, (end + 1, end + 1)):
        if last < at:
            continue
        before = min(first, end + 1)
        if at < before:
            cut = before if ram is None else min(max(ram, at), before)
            if at < cut:
                yield Gap(boot, at, cut - 1), "unexplained"
            if cut < before:
                yield Gap(boot, cut, before - 1), "power"
        if first <= end:
            yield Gap(boot, max(at, first), min(last, end)), "dropped"
        at = max(at, last + 1)
        if at > end:
            return
