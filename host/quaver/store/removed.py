"""Which records a policy has deleted: they are no loss, and none of them is taken a second time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from quaver.store.rows import Row
from quaver.store.store import Store

SINCE = 4  # the version of the store that has these tables
_BEFORE = "SELECT first, last, kind FROM removed WHERE node = ? AND boot = ? AND first < ? ORDER BY first DESC LIMIT 1"
_AFTER = "SELECT last, kind FROM removed WHERE node = ? AND boot = ? AND first = ?"
_FORGET = "DELETE FROM removed WHERE node = ? AND boot = ? AND first = ?"


class Run(NamedTuple):
    """Records first to last of a boot, all of them of that kind."""

    node: int
    boot: int
    first: int
    last: int
    kind: str


def runs_of(records: Iterable[tuple[int, int, int, str]]) -> list[Run]:
    """Records, each (node, boot, seq, kind), as runs."""
    found: list[Run] = []
    for node, boot, seq, kind in sorted(records):
        if found and found[-1][:2] == (node, boot) and found[-1][3:] == (seq - 1, kind):
            found[-1] = found[-1]._replace(last=seq)
        else:
            found.append(Run(node, boot, seq, seq, kind))
    return found


def put_removed(store: Store, runs: Iterable[Run]) -> None:
    """Write down, inside a transaction, what is deleted; runs that touch become one."""
    for run in runs:
        node, boot, first, last, kind = run
        before = store.query(_BEFORE, (node, boot, first))
        if before and before[0] == (before[0][0], first - 1, kind):
            store.query(_FORGET, (node, boot, before[0][0]))
            first = before[0][0]
        after = store.query(_AFTER, (node, boot, last + 1))
        if after and after[0][1] == kind:
            store.query(_FORGET, (node, boot, last + 1))
            last = after[0][0]
        store.query("INSERT INTO removed VALUES (?, ?, ?, ?, ?)", (node, boot, first, last, kind))


def removed_runs(store: Store, node: int) -> list[Run]:
    """All of a node, in order."""
    if store.version < SINCE:
        return []
    found = store.query("SELECT * FROM removed WHERE node = ? ORDER BY boot, first", (node,))
    return [Run(*row) for row in found]


def is_removed(store: Store, node: int, boot: int, seq: int) -> bool:
    if store.version < SINCE:
        return False
    found = store.query(_BEFORE, (node, boot, seq + 1))
    return bool(found) and seq <= found[0][1]


def removed_of(store: Store, rows: Sequence[Row]) -> list[Row]:
    """Those of `rows` whose number a policy has deleted, inside a transaction that is to put them in."""
    if not store.query("SELECT 1 FROM removed LIMIT 1"):
        return []
    ends: dict[tuple[int, int], int] = {}
    for key in {row[:2] for row in rows}:
        last = store.query("SELECT last FROM removed WHERE node = ? AND boot = ? ORDER BY first DESC LIMIT 1", key)
        ends[key] = last[0][0] if last else -1
    return [row for row in rows if row.seq <= ends[row[:2]] and is_removed(store, *row[:3])]
