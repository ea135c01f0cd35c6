"""One quantity of a node over time: every record of a short range, roll-ups of a long one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

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


class Part(NamedTuple):
    """Some measurements: when the first was, n of them; least, sum and most."""

    time_ms: int
    n: int
    low: float
    total: float
    high: float


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
    found: dict[str, list[Part]]
    waiting = 0
    if rollups is None:
        spans = [Bucket(boot, 0, RAW_MOST, 0, ASIDE - 1) for boot in clocks.boots()]
        step, found = 0, _raw(store, clocks, node.number, names, spans, since_ms, until_ms)
    else:
        spans = [
            one for one in rollups.buckets(node.number)
            if _within(clocks.date_ms(one.boot, one.hour * HOUR_MS), since_ms - HOUR_MS, until_ms)
        ]  # fmt: skip
        waiting = max(0, source.end().row - rollups.row())
        if sum(one.n for one in spans) <= RAW_MOST:
            if waiting and spans:  # what came since is of that boot too
                spans.append(spans[-1]._replace(last=ASIDE - 1))
            step, found = 0, _raw(store, clocks, node.number, names, spans, since_ms, until_ms)
        else:
            step = HOUR_MS
            found = {
                name: list(_hours(store, rollups, clocks, node.number, name, since_ms, until_ms)) for name in names
            }
        if not step:  # of a range that a policy has emptied
            for name in names:
                found[name] += _deleted(store, node.number, name, since_ms, until_ms)
                found[name].sort()
    values = found[quantity]
    if len(values) > points or step:
        moments = [part.time_ms for part in values]
        span = max(moments) - min(moments) if moments else 0
        step = next((one for one in _STEPS_MS if one >= step and span / one <= points - 1), _STEPS_MS[-1])
        found = {name: _joined(parts, step) for name, parts in found.items()}
        values = found[quantity]
    speeds = {part.time_ms: part.total / part.n for part in found.get("shaft_hz", ())}
    return Series(
        quantity,
        about.title,
        about.ucum,
        step,
        [part.time_ms for part in values],
        [_short(part.low) for part in values],
        [_short(part.total / part.n) for part in values],
        [_short(part.high) for part in values],
        [_short(speeds[part.time_ms]) if part.time_ms in speeds else None for part in values] if speeds else [],
        waiting,
    )


def _short(value: float) -> float:
    """What single precision holds, in as few digits: half of an answer's size."""
    return float(f"{value:.7g}")


def _within(moment: int | None, since_ms: int, until_ms: int) -> bool:
    return moment is not None and since_ms <= moment <= until_ms


def _raw(
    store: Store,
    clocks: NodeClocks,
    node: int,
    names: Sequence[str],
    spans: Sequence[Bucket],
    since_ms: int,
    until_ms: int,
) -> dict[str, list[Part]]:
    """The records themselves, of stretches of a boot."""
    found: dict[str, list[Part]] = {name: [] for name in names}
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
                found[name].append(Part(moment, 1, value, value, value))
    for parts in found.values():
        parts.sort()
    return found


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
) -> Iterable[Part]:
    """By the hour: each from the roll-ups, or from the store's own where most of its records were deleted."""
    date_ms, since = clocks.date_ms, since_ms - HOUR_MS
    dated = [
        Part(moment, n, low, total, high)
        for boot, hour, n, low, total, high in rollups.hours(node, name)
        if (moment := date_ms(boot, hour * HOUR_MS)) is not None and since < moment <= until_ms
    ]
    deleted = _deleted(store, node, name, since_ms, until_ms)
    if not deleted:
        return dated
    found = {part.time_ms: part for part in _joined(dated, HOUR_MS)}
    for part in deleted:
        if part.time_ms not in found or found[part.time_ms].n < part.n:
            found[part.time_ms] = part
    return list(found.values())


def _deleted(store: Store, node: int, name: str, since_ms: int, until_ms: int) -> list[Part]:
    """What is left of the features that a policy has deleted."""
    if store.version < SINCE:
        return []
    rows = store.query(_HOURLY, (node, name, since_ms - HOUR_MS + 1, until_ms))
    return [Part(hour, count, low, mean * count, high) for hour, count, low, mean, high in rows]


def _joined(parts: Iterable[Part], step_ms: int) -> list[Part]:
    """Those that begin in the same step, as one."""
    found: dict[int, list[float]] = {}
    for moment, count, low, total, high in parts:
        begin = moment // step_ms * step_ms
        held = found.get(begin)
        if held is None:
            found[begin] = [count, low, total, high]
        else:
            held[0] += count
            held[1] = low if low < held[1] else held[1]
            held[2] += total
            held[3] = high if high > held[3] else held[3]
    return [Part(begin, int(held[0]), *held[1:]) for begin, held in sorted(found.items())]
