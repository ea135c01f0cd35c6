"""Time stamps as text: ISO 8601, dd.mm.yyyy hh:mm:ss, and times of day, to nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError

DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})|(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", re.ASCII)
CLOCK = re.compile(
    r"(?:(\d{1,2}):)?(\d{1,2}):(\d{2})(?:[.,:](\d{1,9}))?\s*([AaPp][Mm])?(?:\s?(?:Z|UTC|[+-]\d\d:?\d\d))?", re.ASCII
)
_STAMP = re.compile(f"(?:({DATE.pattern})[T ]\\s*)?({CLOCK.pattern})", re.ASCII)
_DAY_NS = 86_400 * 10**9


def is_date(text: str) -> bool:
    """Whether a text is a date alone."""
    return bool(DATE.fullmatch(text))


def is_stamp(text: str) -> bool:
    """Whether a text is a date and a time of day, or a time of day alone: hh:mm:ss, or mm:ss.fff."""
    match = _STAMP.fullmatch(text)
    return bool(match) and (match[9] is not None or match[12] is not None)  # type: ignore[index]


def _day(text: str) -> int:
    match = DATE.fullmatch(text)
    assert match is not None
    if match[1]:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    else:
        # dd.mm.yyyy, dd/mm/yyyy, or mm/dd/yyyy where nothing else is a date: only differences matter.
        day, month, year = int(match[4]), int(match[5]), int(match[6])
        if month > 12:
            day, month = month, day
    return date(year, month, day).toordinal()


def seconds(texts: Sequence[str]) -> NDArray[np.float64]:
    """Seconds since the first of these stamps. A time of day without a date goes on over midnight.

    Raises RecordingError for a date that no calendar has.
    """
    days: dict[str, int] = {}
    told = np.empty(len(texts), np.int64)
    carried = first = 0
    before: int | None = None
    for at, text in enumerate(texts):
        match = _STAMP.fullmatch(text)
        assert match is not None
        given = match[1]
        try:
            day = 0 if given is None else days[given] if given in days else days.setdefault(given, _day(given))
        except ValueError:
            raise RecordingError(f"{given!r} is not a valid date: correct the file") from None
        first = first or day  # nanoseconds since year 1 are too many for 64 bits
        hour, minute, second = int(match[9] or 0), int(match[10]), int(match[11])
        if match[13]:
            hour = hour % 12 + (12 if match[13].lower() == "pm" else 0)
        now = ((hour * 60 + minute) * 60 + second) * 10**9 + int((match[12] or "").ljust(9, "0"))
        if given is None:
            if before is not None and before - now > _DAY_NS // 2:
                carried += _DAY_NS
            before = now
        told[at] = (day - first) * _DAY_NS + carried + now
    result: NDArray[np.float64] = (told - told[0]) / 1e9
    return result
