"""How many alarms there are, of what, and whether a person can handle them: figures of the history, as pure functions.

Sources: ANSI/ISA-18.2-2016 and IEC 62682, clause 16 (monitoring and assessment); EEMUA 191, which counts for one
operator position. A figure that needs a time span says of which it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quaver.alarms.base import Alarm, Transition
from quaver.alarms.conditions import GAP, GONE

DAY_MS, HOUR_MS, TEN_MS = 86_400_000, 3_600_000, 600_000

# Of one operator position, on average: what is very likely to be acceptable, what can be managed at most.
PER_DAY, PER_HOUR, PER_TEN_MINUTES = (150, 300), (6, 12), (1, 2)
FLOOD = 10  # alarms in 10 minutes: more of them are a flood, and it ends with a ten minutes of fewer than 5
FLOOD_OVER = 5
FLOOD_SHARE = 0.01  # of the time, at most
STALE_MS = DAY_MS  # active for longer
STALE_MOST = 5  # on any day
CHATTER, CHATTER_MS = 3, 60_000  # raised so often in so long
CHATTER_INTERVALS = 10  # or in so many measurements of its node, which can't tell more in a minute than one
TOP = 10  # the most frequent alarms,
TOP_SHARE = (0.01, 0.05)  # and which part of all they should make: at best, at most


@dataclass(frozen=True)
class Occurrence:
    """One time that an alarm was wrong. ended_ms: None while it is. asset: its topic prefix without the node."""

    alarm: int
    node: str
    topic: str
    subject: str
    level: str
    priority: str
    cause: str | None
    since_ms: int
    ended_ms: int | None

    @property
    def asset(self) -> str:
        return self.topic.rpartition("/")[0]

    def within(self, since_ms: int, until_ms: int) -> int:
        """How long it was wrong in that time, ms."""
        end = until_ms if self.ended_ms is None else min(self.ended_ms, until_ms)
        return max(0, end - max(self.since_ms, since_ms))


def occurrences(history: Iterable[tuple[Transition, Alarm]]) -> list[Occurrence]:
    """From the transitions of alarms in their order, each with its alarm; by their begin."""
    begun: dict[int, Transition] = {}
    found = []

    def add(first: Transition, alarm: Alarm, ended_ms: int | None) -> None:
        found.append(
            Occurrence(
                alarm.id, alarm.node, alarm.topic, alarm.subject, first.level, alarm.priority, alarm.cause,
                first.at_ms, ended_ms,
            )
        )  # fmt: skip

    alarms = {}
    for one, alarm in history:
        alarms[alarm.id] = alarm
        if one.active and one.alarm not in begun:
            begun[one.alarm] = one
        elif not one.active and one.alarm in begun:
            add(begun.pop(one.alarm), alarm, one.at_ms)
    for number, first in begun.items():
        add(first, alarms[number], None)
    return sorted(found, key=lambda each: (each.since_ms, each.alarm))


def annunciated(history: Iterable[tuple[Transition, Alarm]], begun_ms: int = 0) -> list[tuple[int, int]]:
    """(when, alarm) of each time that somebody was told: it came to "unack-active", in whatever way; by time.

    What came late is told when it comes, not when it was. begun_ms: when alarms were first followed: what was before
    counts when it was.
    """
    return sorted(
        (one.at_ms if one.at_ms < begun_ms else one.noted_ms, one.alarm) for one, _ in history
        if one.after == "unack-active" and (one.before != one.after or one.act == "raise")
    )  # fmt: skip


By = Literal["cause", "node", "asset", "subject"]


@dataclass(frozen=True)
class Bar:
    """One bar of a Pareto. count: of occurrences that began in the time; duration_ms: how long they were wrong in it.

    share, cumulative: of the count, 0 to 1. alarms: their numbers.
    """

    key: str
    count: int
    duration_ms: int
    share: float
    cumulative: float
    alarms: tuple[int, ...]


def pareto(found: Iterable[Occurrence], by: By, since_ms: int, until_ms: int) -> list[Bar]:
    """The most frequent first, then the longest. A cause that nobody named has the key ""."""
    counts: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    alarms: defaultdict[str, set[int]] = defaultdict(set)
    for one in found:
        length = one.within(since_ms, until_ms)
        begins = since_ms <= one.since_ms < until_ms
        if not (begins or length):
            continue
        key = {"cause": one.cause or "", "node": one.node, "asset": one.asset, "subject": one.subject}[by]
        counts[key] += begins
        lengths[key] += length
        alarms[key].add(one.alarm)
    whole = sum(counts.values()) or 1
    done, bars = 0, []
    for key in sorted(counts, key=lambda key: (-counts[key], -lengths[key], key)):
        done += counts[key]
        numbers = tuple(sorted(alarms[key]))
        bars.append(Bar(key, counts[key], lengths[key], counts[key] / whole, done / whole, numbers))
    return bars


@dataclass(frozen=True)
class Flood:
    """From the first to the last alarm of it. peak: the most in 10 minutes."""

    since_ms: int
    until_ms: int
    count: int
    peak: int


def floods(times_ms: Sequence[int]) -> list[Flood]:
    """More than 10 alarms in 10 minutes, until 10 minutes have fewer than 5. times_ms: ascending."""
    found: list[Flood] = []
    window: list[int] = []
    begun: list[int] | None = None
    peak = 0
    for when in times_ms:
        window = [one for one in window if one > when - TEN_MS] + [when]
        if begun is not None and len(window) < FLOOD_OVER:
            found.append(Flood(begun[0], begun[-1], len(begun), peak))
            begun = None
        if begun is not None:
            begun.append(when)
            peak = max(peak, len(window))
        elif len(window) > FLOOD:
            begun, peak = list(window), len(window)
    if begun is not None:
        found.append(Flood(begun[0], begun[-1], len(begun), peak))
    return found


@dataclass(frozen=True)
class Rates:
    """Of one operator position. hours_over: hours with more than 30 alarms. flood_share: of the time, 0 to 1.

    per_day, per_hour, per_ten_minutes: on the average of the time. verdict: against PER_DAY. top_share: of the ten most
    frequent alarms.
    """

    days: float
    count: int
    per_day: float
    per_hour: float
    per_ten_minutes: float
    most_in_ten_minutes: int
    hours_over: int
    floods: tuple[Flood, ...]
    flood_share: float
    top_share: float
    verdict: Literal["acceptable", "manageable", "too many"]


def rates(told: Sequence[tuple[int, int]], since_ms: int, until_ms: int, positions: int = 1) -> Rates:
    """Of what `annunciated` gives, in a time. positions: operators among whom the alarms are shared."""
    inside = [(when, alarm) for when, alarm in told if since_ms <= when < until_ms]
    times = [when for when, _ in inside]
    days = (until_ms - since_ms) / DAY_MS
    per_day = len(inside) / days / positions
    hours = Counter((when - since_ms) // HOUR_MS for when in times)
    found = floods(times)
    frequent = Counter(alarm for _, alarm in inside).most_common(TOP)
    return Rates(
        days=days,
        count=len(inside),
        per_day=per_day,
        per_hour=per_day / 24,
        per_ten_minutes=per_day / 144,
        most_in_ten_minutes=_most(times, TEN_MS),
        hours_over=sum(count > 30 * positions for count in hours.values()),
        floods=tuple(found),
        flood_share=sum(one.until_ms - one.since_ms for one in found) / (until_ms - since_ms),
        top_share=sum(count for _, count in frequent) / len(inside) if inside else 0.0,
        verdict="acceptable" if per_day <= PER_DAY[0] else "manageable" if per_day <= PER_DAY[1] else "too many",
    )


def _most(times_ms: Sequence[int], within_ms: int) -> int:
    """How many there are in the fullest such time. times_ms: ascending."""
    most, first = 0, 0
    for last, when in enumerate(times_ms):
        while times_ms[first] <= when - within_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


def stale(alarms: Iterable[Alarm], now_ms: int) -> list[Alarm]:
    """What an operator's list has shown as wrong for over a day, the oldest first. Nobody works at it, or can."""
    shown = [one for one in alarms if one.state in ("unack-active", "ack-active") and now_ms - one.since_ms > STALE_MS]
    return sorted(shown, key=lambda one: (one.since_ms, one.id))


@dataclass(frozen=True)
class Chatter:
    """An alarm that came again and again. most: times that it was raised within `within_ms`; count: in all the time."""

    alarm: int
    count: int
    most: int
    within_ms: int


def chattering(found: Iterable[Occurrence], interval_s: Mapping[str, float]) -> list[Chatter]:
    """What was raised three times or more within a minute, or within ten intervals of its node; the worst first.

    interval_s: of nodes, where it is known. Silence and gaps are not measured, and do not chatter so.
    """
    times: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for one in found:
        if one.subject not in (GONE, GAP):
            times[one.alarm, one.node].append(one.since_ms)
    bad = []
    for (alarm, node), begun in times.items():
        within = max(CHATTER_MS, int(CHATTER_INTERVALS * 1000 * interval_s.get(node, 0)))
        most = _most(sorted(begun), within)
        if most >= CHATTER:
            bad.append(Chatter(alarm, len(begun), most, within))
    return sorted(bad, key=lambda one: (-one.most, -one.count, one.alarm))
