"""Which dates of a node's boot are accepted: by the receipt of its records, and by its clock's later dates.

A node keeps its date as an offset to its uptime. A date that is years from the receipt is not believed. And an offset
that moved by more than a crystal drifts was corrected: what the clock said before was wrong, and is dated by the
offset that came after.
"""

from __future__ import annotations

from collections.abc import Sequence

from quaver.store.rows import Claim

AHEAD_MS = 3600_000  # a clock further ahead of the receipt is not believed,
DAY_MS = 86_400_000
BEHIND_MS = 366 * DAY_MS  # nor one further behind: no journal holds a year
DRIFT_MS = 500  # a clock that moved less against the uptime was not set anew
_ANSWER_MS = 5000  # what a time server's answer may be off, twice
_DRIFT = 2000  # 500 ppm: an offset that moves faster does not drift, it was corrected


def in_range(time_ms: int, received_ms: int) -> bool:
    """Whether a date can be that of a record which came at `received_ms`."""
    return received_ms - BEHIND_MS <= time_ms <= received_ms + AHEAD_MS


def corrected(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a clock was corrected between two (uptime, offset), ms, and did not drift."""
    return abs(one[1] - other[1]) > _ANSWER_MS + abs(one[0] - other[0]) // _DRIFT


def judge(claims: Sequence[Claim]) -> tuple[list[Claim], list[Claim], list[tuple[int, int]]]:
    """(believed, not believed, (uptime, offset) each time that the clock was set), of a boot's claims by uptime."""
    believed: list[Claim] = []
    others: list[Claim] = []
    sets: list[tuple[int, int]] = []
    for claim in claims:
        if not in_range(claim.time_ms, claim.received_ms):
            others.append(claim)
            continue
        at = claim.uptime_ms, claim.time_ms - claim.uptime_ms
        if sets and corrected(sets[-1], at):
            others += believed
            believed, sets = [], []
        if not sets or abs(at[1] - sets[-1][1]) > DRIFT_MS:
            sets.append(at)
        believed.append(claim)
    return believed, others, sets


def length(ms: int | None) -> str:
    """A time as people say it."""
    if ms is None:
        return "an unknown time"
    for unit, name in ((365.25 * DAY_MS, "years"), (DAY_MS, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= 2 * unit:
            return f"{ms / unit:.1f} {name}"
    return f"{ms / 1000:.1f} s"
