"""One quantity of a node over time: every record of a short range, roll-ups of a long one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from quaver.errors import PageError
from quaver.messages.quantities import Quantity, numbers
from quaver.messages.record import MessageError, readable
from quaver.query.clocks import NodeClocks
from quaver.query.rollups import HOUR_MS, Bucket, Rollups
from quaver.query.source import Source
from quaver.store.ledger import ASIDE
from quaver.store.removed import SINCE
from quaver.store.rows import Node
from quaver.store.store import Store

_DAY_MS = 86_400_000
RAW_MOST = 6000  # records that are read one by one; more come from roll-ups
_ROWS_MOST = 20_000  # of a boot that are looked at for those
_SECOND_MS = 1000
# Of a step, so that its begin is a moment that people name.
_STEPS_MS = (
    *(n * _SECOND_MS for n in (1, 5, 10, 30, 60, 120, 300, 600, 1800)),
    *(n * HOUR_MS for n in (1, 2, 3, 6, 12, 24, 48, 168, 336, 720)),
)
_RAW = """
SELECT boot, uptime_ms, time_ms, body FROM record
WHERE node = ? AND boot = ? AND seq BETWEEN ? AND ? AND uptime_ms BETWEEN ? AND ? AND class = 'telemetry'
ORDER BY seq LIMIT ?
"""
_HOURLY = """
SELECT hour_ms, count, low, mean, high FROM hourly WHERE node = ? AND quantity = ? AND hour_ms BETWEEN ? AND ?
"""


@dataclass(frozen=True)
class Series:
    """times_ms: of each point, or where its step begins; low, mean, high: of it. step_ms: 0: each point is a record.

    shaft_hz: the mean of each point, None where it was not known; empty where the node tells no speed. unit: UCUM.
    waiting: records of the store that are in no roll-up yet; some of them may be missing here.
    """

    quantity: str
    title: str
    unit: str
    step_ms: int
    times_ms: list[int]
    low: list[float]
    mean: list[float]
    high: list[float]
    shaft_hz: list[float | None]
    waiting: int = 0


_Row = tuple[int, int, float, float, float]


class Columns(NamedTuple):
    """Some measurements in each row: when the first was, n of them; least, sum and most. Each column is (rows,)."""

    time_ms: NDArray[np.float64]
    n: NDArray[np.float64]
    low: NDArray[np.float64]
    total: NDArray[np.float64]
    high: NDArray[np.float64]


def series(
    source: Source,
    rollups: Rollups | None,
    node: Node,
    quantity: str,
    about: Quantity,
    since_ms: int,
    until_ms: int,
    points: int,
) -> Series:
    """Between two dates, in `points` points at most. quantity: its name, as in `numbers`. Raises StoreError."""
    store = source.store
    clocks = NodeClocks(store, node.number)
    names = (quantity,) if quantity == "shaft_hz" else (quantity, "shaft_hz")
    found: dict[str, Columns]
    waiting = 0
    if rollups is None:
        spans = [Bucket(boot, 0, RAW_MOST, 0, ASIDE - 1) for boot in clocks.boots()]
        step, found = 0, _raw(store, clocks, node.number, names, spans, since_ms, until_ms)
    else:
        spans = _within(rollups.buckets(node.number), clocks, since_ms, until_ms)
        waiting = max(0, source.end().row - rollups.row())
        if sum(one.n for one in spans) <= RAW_MOST:
            if waiting and spans:  # what came since is of that boot too
                spans.append(spans[-1]._replace(last=ASIDE - 1))
            step, found = 0, _raw(store, clocks, node.number, names, spans, since_ms, until_ms)
        else:
            step = HOUR_MS
            found = {name: _hours(store, rollups, clocks, node.number, name, since_ms, until_ms) for name in names}
        if not step:  # of a range that a policy has emptied
            for name in names:
                deleted = _columns(_deleted(store, node.number, name, since_ms, until_ms))
                found[name] = _in_order(found[name], deleted)
    values = found[quantity]
    if len(values.time_ms) > points or step:
        span = float(np.ptp(values.time_ms)) if len(values.time_ms) else 0
        step = next((one for one in _STEPS_MS if one >= step and span / one <= points - 1), _STEPS_MS[-1])
        found = {name: _joined(columns, step) for name, columns in found.items()}
        values = found[quantity]
    times = values.time_ms.astype(np.int64).tolist()
    speeds: dict[int, float] = {}
    if "shaft_hz" in found:
        own = found["shaft_hz"]
        speeds = dict(zip(own.time_ms.astype(np.int64).tolist(), (own.total / own.n).tolist(), strict=True))
    return Series(
        quantity,
        about.title,
        about.ucum,
        step,
        times,
        [_short(value) for value in values.low.tolist()],
        [_short(value) for value in (values.total / values.n).tolist()],
        [_short(value) for value in values.high.tolist()],
        [_short(speeds[moment]) if moment in speeds else None for moment in times] if speeds else [],
        waiting,
    )


def _short(value: float) -> float:
    """What single precision holds, in as few digits: half of an answer's size."""
    return float(f"{value:.7g}")


def _within(buckets: Sequence[Bucket], clocks: NodeClocks, since_ms: int, until_ms: int) -> list[Bucket]:
    """Those whose hour begins in the range, or an hour before it. A year has 8,760: they are dated at once."""
    if not buckets:
        return []
    boots, hours = np.array([one[:2] for one in buckets]).T
    dates = clocks.dates_ms(boots, hours * HOUR_MS)
    return [buckets[place] for place in np.flatnonzero((dates >= since_ms - HOUR_MS) & (dates <= until_ms)).tolist()]


def _raw(
    store: Store,
    clocks: NodeClocks,
    node: int,
    names: Sequence[str],
    spans: Sequence[Bucket],
    since_ms: int,
    until_ms: int,
) -> dict[str, Columns]:
    """The records themselves, of stretches of a boot."""
    found: dict[str, list[_Row]] = {name: [] for name in names}
    for boot, first, last in _stretches(spans):
        offset = clocks.offset_ms(boot, 0)
        if offset is None:
            continue
        # A clock may have been set again in a boot: a day is more than that moves it.
        within = since_ms - offset - _DAY_MS, until_ms - offset + _DAY_MS
        rows = store.query(_RAW, (node, boot, first, last, *within, _ROWS_MOST + 1)) if within[1] >= 0 else []
        if len(rows) > _ROWS_MOST:
            raise PageError("too many records lie there, and no roll-up tells them yet; ask for a shorter range", 503)
        for _, uptime_ms, time_ms, body in rows:
            moment = clocks.date_ms(boot, uptime_ms) if time_ms is None else time_ms
            if moment is None or not since_ms <= moment <= until_ms:
                continue
            for name, value in _numbers(body, names):
                found[name].append((moment, 1, value, value, value))
    return {name: _in_order(_columns(rows)) for name, rows in found.items()}


def _stretches(spans: Sequence[Bucket]) -> Iterator[tuple[int, int, int]]:
    """(boot, first, last) of hours that follow each other in a boot, joined."""
    held: tuple[int, int, int] | None = None
    for one in spans:
        if held and held[0] == one.boot:
            held = one.boot, min(held[1], one.first), max(held[2], one.last)
            continue
        if held:
            yield held
        held = one.boot, one.first, one.last
    if held:
        yield held


def _numbers(body: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    values = orjson.loads(body)
    if "spectrum" in values:
        return
    flat = {name: values[name] for name in names if name in values}
    groups = {group for name in names if (group := name.partition(".")[0]) != name}
    try:
        flat |= readable({group: values[group] for group in groups if group in values})
    except MessageError:
        return
    for name, _, value in numbers(flat):
        if name in names:
            yield name, float(value)


def _hours(
    store: Store, rollups: Rollups, clocks: NodeClocks, node: int, name: str, since_ms: int, until_ms: int
) -> Columns:
    """By the hour: each from the roll-ups, or from the store's own where most of its records were deleted."""
    boots, hours, *columns = np.array(rollups.hours(node, name), dtype=np.float64).reshape(-1, 6).T
    dates = clocks.dates_ms(boots.astype(np.int64), hours.astype(np.int64) * HOUR_MS)
    kept = (dates > since_ms - HOUR_MS) & (dates <= until_ms)
    found = Columns(dates[kept].astype(np.float64), *(one[kept] for one in columns))
    deleted = _deleted(store, node, name, since_ms, until_ms)
    if not deleted:
        return found
    found = _joined(found, HOUR_MS)
    known = dict(zip(found.time_ms.tolist(), found.n.tolist(), strict=True))
    instead = _columns([row for row in deleted if known.get(row[0], 0) < row[1]])
    left = ~np.isin(found.time_ms, instead.time_ms)
    return _in_order(Columns(*(one[left] for one in found)), instead)


def _deleted(store: Store, node: int, name: str, since_ms: int, until_ms: int) -> list[_Row]:
    """What is left of the features that a policy has deleted."""
    if store.version < SINCE:
        return []
    rows = store.query(_HOURLY, (node, name, since_ms - HOUR_MS + 1, until_ms))
    return [(hour, count, low, mean * count, high) for hour, count, low, mean, high in rows]


def _columns(rows: Sequence[_Row]) -> Columns:
    return Columns(*np.array(rows, dtype=np.float64).reshape(-1, len(Columns._fields)).T)


def _in_order(*parts: Columns) -> Columns:
    """All in one, by time."""
    whole = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    return Columns(*(one[order] for one in whole))


def _joined(columns: Columns, step_ms: int) -> Columns:
    """Those that begin in the same step, as one, in order."""
    begins = columns.time_ms // step_ms * step_ms
    begins, n, low, total, high = _in_order(columns._replace(time_ms=begins))
    firsts = np.flatnonzero(np.diff(begins, prepend=-np.inf))
    if not len(firsts):
        return columns
    return Columns(
        begins[firsts],
        np.add.reduceat(n, firsts),
        np.minimum.reduceat(low, firsts),
        np.add.reduceat(total, firsts),
        np.maximum.reduceat(high, firsts),
    )
