"""The ledger: node by node, what came, what was refused, what is missing, and which of that the node has explained.

Every message of a boot has the next number, from 0. A number below the highest that is known of its boot and not in
the store is missing. It is explained when the node said so: by a run of drops, or, of what it held in RAM when its
power went, from a number on that its next boot tells. That same number bounds a boot from above: everything before
it must have come. A boot number that was skipped is a gap too. All else is unexplained.

The account of a node begins with the lowest number of the first boot that the store has of it: what was sent before
this store listened is in no account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from quaver.ingest.store import Store

_GAPS_MAX = 1000  # listed of one node; the rest is counted

# The numbers of each boot as runs without a gap: (boot, first, last).
_RUNS = """
SELECT boot, min(seq), max(seq) FROM (
    SELECT boot, seq, seq - row_number() OVER (PARTITION BY boot ORDER BY seq) AS run FROM record WHERE node = ?
) GROUP BY boot, run ORDER BY boot, min(seq)
"""


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
    """One node's line. since: the boot and number that the account begins with. boots: first, last."""

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
    unexplained: int = 0
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
    for name, reason, count in store.query("SELECT node, reason, count FROM security_event"):
        events.setdefault(name, {})[reason] = count
    accounts = []
    for node in store.nodes():
        refused = events.pop(node.id.hex(), {})
        flagged = refused.pop("clock", 0)
        account = Account(_shown(node.id), node.topic, node.received, node.duplicates, refused, flagged, None, None)
        _balance(account, store, node.number)
        accounts.append(account)
    return accounts, [Stranger(name, refused) for name, refused in sorted(events.items())]


def _shown(node_id: bytes) -> str:
    return node_id.hex() if len(node_id) == 8 else node_id.decode(errors="replace")


def _balance(account: Account, store: Store, number: int) -> None:
    boots: dict[int, list[tuple[int, int]]] = {}
    for boot, first, last in store.query(_RUNS, (number,)):
        boots.setdefault(boot, []).append((first, last))
    if not boots:
        return
    explained: dict[int, list[tuple[int, int]]] = {}
    power: dict[int, int] = {}  # boot -> the first number that may have been in RAM alone
    for boot, first, end, reason in store.query(
        "SELECT boot, first, last, reason FROM explained WHERE node = ?", (number,)
    ):
        if reason == "power":
            power[boot] = min(first, power.get(boot, first))
        else:
            explained.setdefault(boot, []).append((first, end))
    begin = min(boots)
    account.since = (begin, boots[begin][0][0])
    account.boots = (begin, max(boots))
    for boot in range(begin, max(boots) + 1):
        start = account.since[1] if boot == begin else 0
        for gap, reason in _gaps(boot, start, boots.get(boot, []), sorted(explained.get(boot, [])), power.get(boot)):
            if reason == "dropped":
                account.dropped += gap.count
            elif reason == "power":
                account.lost_in_ram += gap.count
            else:
                account.unexplained += gap.count
                if len(account.gaps) < _GAPS_MAX:
                    account.gaps.append(gap)


def _gaps(
    boot: int, start: int, runs: list[tuple[int, int]], dropped: list[tuple[int, int]], power: int | None
) -> Iterator[tuple[Gap, str]]:
    """The missing numbers of a boot from `start`, cut where their explanation changes."""
    end = max([last for _, last in (*runs, *dropped)], default=-1)
    if power is not None:
        end = max(end, power - 1)
    elif not runs and not dropped:
        yield Gap(boot, 0, None), "unexplained"
        return
    at = start
    for first, last in (*runs, (end + 1, end + 1)):
        if at < first:
            yield from _explained(boot, at, min(first - 1, end), dropped, power)
        at = max(at, last + 1)


def _explained(
    boot: int, at: int, end: int, dropped: list[tuple[int, int]], power: int | None
) -> Iterator[tuple[Gap, str]]:
    for first, last in (*dropped, (end + 1, end + 1)):
        if last < at:
            continue
        first = min(first, end + 1)
        if at < first:
            yield from _powered(boot, at, first - 1, power)
        if first <= end:
            yield Gap(boot, max(at, first), min(last, end)), "dropped"
        at = max(at, last + 1)
        if at > end:
            return


def _powered(boot: int, first: int, last: int, power: int | None) -> Iterator[tuple[Gap, str]]:
    if power is None or last < power:
        yield Gap(boot, first, last), "unexplained"
        return
    if first < power:
        yield Gap(boot, first, power - 1), "unexplained"
    yield Gap(boot, max(first, power), last), "power"
