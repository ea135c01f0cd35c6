"""Shifts and tariffs by the plant's clock: which of them a moment falls into, over changes to and from summer time."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
QUARTER_MS = 900_000  # every zone of today is a whole number of quarters from UTC


class Span(Protocol):
    """A stretch of each day of `days`: "HH:MM" to "HH:MM", over midnight where it ends before it begins."""

    @property
    def name(self) -> str: ...
    @property
    def begins(self) -> str: ...
    @property
    def ends(self) -> str: ...
    @property
    def days(self) -> Sequence[str]: ...


def minutes(text: str) -> int:
    """ "06:30" as 390; "24:00" as 1440."""
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


def week(spans: Iterable[Span]) -> list[tuple[int, int, str]]:
    """The spans of a week as (first minute, minute behind the last, name), Monday's midnight being 0, in order.

    One that runs beyond Sunday is cut and goes on at the week's begin.
    """
    found = []
    for span in spans:
        for day in span.days:
            begin = DAYS.index(day) * 1440 + minutes(span.begins)
            length = (minutes(span.ends) - minutes(span.begins)) % 1440 or 1440
            end = begin + length
            found.append((begin, min(end, 10_080), span.name))
            if end > 10_080:
                found.append((0, end - 10_080, span.name))
    return sorted(found)


def overlap(spans: Iterable[Span]) -> tuple[str, str] | None:
    """The names of two that share a minute, if any do."""
    found = week(spans)
    for (_, end, one), (begin, _, other) in itertools.pairwise(found):
        if begin < end:
            return one, other
    return None


class Timeline:
    """What is when: of spans that do not overlap, between two moments in ms since 1970. "" outside of all of them."""

    def __init__(self, spans: Sequence[Span], zone: ZoneInfo, since_ms: int, until_ms: int) -> None:
        pieces: list[tuple[int, int, str]] = []
        day = datetime.fromtimestamp(since_ms / 1000, zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(until_ms / 1000, zone).date()
        while day <= last:
            for span in spans:
                if DAYS[day.weekday()] in span.days:
                    begin, length = minutes(span.begins), (minutes(span.ends) - minutes(span.begins)) % 1440 or 1440
                    pieces.append((_moment(day, begin, zone), _moment(day, begin + length, zone), span.name))
            day += timedelta(days=1)
        self._starts: list[int] = [min(since_ms, pieces[0][0]) if pieces else since_ms]
        self._names: list[str] = [""]
        for begin, end, name in sorted(pieces):
            if self._starts[-1] == begin:  # the one before ends where this begins
                self._names[-1] = name
            else:
                self._starts.append(begin)
                self._names.append(name)
            self._starts.append(end)
            self._names.append("")

    def at(self, time_ms: int) -> tuple[str, int]:
        """(name, when that ends) of a moment; -1 where nothing follows."""
        place = bisect_right(self._starts, time_ms) - 1
        after = place + 1
        return self._names[max(place, 0)], self._starts[after] if after < len(self._starts) else -1

    def pieces(self, begin_ms: int, end_ms: int) -> Iterator[tuple[int, int, str]]:
        """A stretch cut where something else begins: (begin, end, name)."""
        while begin_ms < end_ms:
            name, change = self.at(begin_ms)
            end = end_ms if change < 0 else min(end_ms, change)
            yield begin_ms, end, name
            begin_ms = end


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    """Where an hour is there twice, the first; where it is missing, as if summer time had not begun."""
    local = datetime.combine(day + timedelta(days=minute // 1440), time(minute % 1440 // 60, minute % 60), zone)
    return round(local.astimezone(UTC).timestamp() * 1000)
