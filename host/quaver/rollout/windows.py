"""Maintenance windows: the hours of the week in which a node may be told to take a release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quaver.errors import RolloutError

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_TEXT = re.compile(rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Window:
    """days: 0 for Monday, on which it begins. begin, end: minutes since midnight, by this machine's local time.

    One whose end is not behind its begin ends on the next day.
    """

    days: frozenset[int]
    begin: int
    end: int

    def holds(self, when: datetime) -> bool:
        """Whether a moment, local time, is inside."""
        minute = when.hour * 60 + when.minute
        if self.begin < self.end:
            return when.weekday() in self.days and self.begin <= minute < self.end
        today = when.weekday() in self.days and minute >= self.begin
        return today or ((when - timedelta(days=1)).weekday() in self.days and minute < self.end)


def parse_window(text: str) -> Window:
    """Read "22:00-05:00", "Sat 06:00-18:00" or "Mon-Fri 22:00-05:00". Raises RolloutError."""
    found = _TEXT.fullmatch(" ".join(text.split()))
    times = [_minutes(found[name]) for name in ("from", "to")] if found else [None]
    begin, end = times[0], times[-1]
    if found is None or begin is None or end is None or begin == end:
        raise RolloutError(
            f"--window {text!r}: expected two different times, HH:MM-HH:MM, and perhaps days before them, as in "
            '"Mon-Fri 22:00-05:00"'
        )
    if found["first"] is None:
        return Window(frozenset(range(7)), begin, end)
    first = _DAYS.index(found["first"])
    last = _DAYS.index(found["last"] or found["first"])
    return Window(frozenset((first + step) % 7 for step in range((last - first) % 7 + 1)), begin, end)


def _minutes(text: str) -> int | None:
    hours, minutes = map(int, text.split(":"))
    return hours * 60 + minutes if hours * 60 + minutes <= _DAY_MINUTES - 1 and minutes < 60 else None


def is_open(windows: Sequence[Window], when: datetime) -> bool:
    """Whether a moment is in one of the windows; where there are none, always."""
    return not windows or any(window.holds(when) for window in windows)
