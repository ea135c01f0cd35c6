"""One quantity of a node over time: every record of a short range, roll-ups of a long one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from quaver.errors import PageError
from quaver.messages.quantities import Quantity, numbers
from quaver.messages.record import MessageError, readable
from quaver.query.clocks import HOUR_MS, NodeClocks, Span
from quaver.query.rollups import Held, Rollups
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
    store, number = source.store, node.number
    clocks = NodeClocks(store, number)
    names = (quantity,) if quantity == "shaft_hz" else (quantity, "shaft_hz")
    waiting, step = 0, 0
    spans = clocks.spans(since_ms, until_ms)
    held = [Held(boot, 0, 0, ASIDE - 1) for boot in clocks.boots()] if rollups is None else rollups.held(number, spans)
    left = {name: _deleted(store, number, name, since_ms, until_ms) if rollups else [] for name in names}
    if rollups is not None and sum(one.n for one in held) > RAW_MOST:
        ends = [*(rollups.extent(number, quantity, spans) or ()), *(row[0] for row in left[quantity])]
        step = _step_ms(max(ends) - min(ends) if ends else 0, HOUR_MS, points)
        found = {name: _hours(rollups, number, name, spans, step, rows) for name, rows in left.items()}
    else:
        if rollups is not None:
            waiting = max(0, source.end().row - rollups.row())
            if waiting and held:  # what came since is of that boot too
                held.append(held[-1]._replace(last=ASIDE - 1))
        found = _raw(store, clocks, number, names, held, since_ms, until_ms)
        for name, rows in left.items():  # of a range that a policy has emptied
            found[name] = _in_order(found[name], _columns(rows))
        times = found[quantity].time_ms
        if len(times) > points:
            step = _step_ms(float(np.ptp(times)), 0, points)
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


def _step_ms(span_ms: float, least_ms: int, points: int) -> int:
    """The shortest step that leaves so many points at most."""
    return next((one for one in _STEPS_MS if one >= least_ms and span_ms / one <= points - 1), _STEPS_MS[-1])


def _raw(
    store: Store,
    clocks: NodeClocks,
    node: int,
    names: Sequence[str],
    held: Sequence[Held],
    since_ms: int,
    until_ms: int,
) -> dict[str, Columns]:
    """The records themselves, of stretches of a boot."""
    found: dict[str, list[_Row]] = {name: [] for name in names}
    for boot, first, last in _stretches(held):
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


def _stretches(held: Sequence[Held]) -> Iterator[tuple[int, int, int]]:
    """(boot, first, last) of those that follow each other in a boot, joined."""
    for boot, ones in groupby(held, key=lambda one: one.boot):
        both = [(one.first, one.last) for one in ones]
        yield boot, min(first for first, _ in both), max(last for _, last in both)


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
    rollups: Rollups, node: int, name: str, spans: Sequence[Span], step_ms: int, deleted: Sequence[_Row]
) -> Columns:
    """By steps: each hour from the roll-ups, or from the store's own where most of its records were deleted."""
    found = _columns(rollups.steps(node, name, spans, HOUR_MS if deleted else step_ms))
    if not deleted:
        return found
    known = dict(zip(found.time_ms.tolist(), found.n.tolist(), strict=True))
    instead = _columns([row for row in deleted if known.get(row[0], 0) < row[1]])
    left = ~np.isin(found.time_ms, instead.time_ms)
    return _joined(_in_order(Columns(*(one[left] for one in found)), instead), step_ms)


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
