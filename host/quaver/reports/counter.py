"""What a machine made, from a CSV file that its control writes: time, total and good pieces, both ever growing."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from quaver.errors import ReportError

_MOST = 1_000_000  # rows


@dataclass(frozen=True)
class Pieces:
    """Made between two moments: by the first and the last row in between. rows: how many of the file."""

    total: float
    good: float
    rows: int
    first_ms: int
    last_ms: int


def read_pieces(path: Path, since_ms: int, until_ms: int) -> Pieces:
    """The pieces of a time. Raises ReportError for a file that is none, or whose counter goes back."""
    rows: list[tuple[int, float, float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                if number > _MOST:
                    raise ReportError(f"{path}: has more than {_MOST} rows; split it")
                at = _row(path, number, row)
                if rows and (at[0] <= rows[-1][0] or at[1] < rows[-1][1] or at[2] < rows[-1][2]):
                    raise ReportError(f"{path}: row {number}: time and counters have to grow; begin a new file")
                rows.append(at)
    except OSError as error:
        raise ReportError(f"{path}: can't be read ({error.strerror}); it is named as a machine's counter") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{path}: is no CSV file in UTF-8: {error}") from error
    inside = [row for row in rows if since_ms <= row[0] <= until_ms]
    if len(inside) < 2:
        return Pieces(0.0, 0.0, len(inside), since_ms, since_ms)
    first, last = inside[0], inside[-1]
    return Pieces(last[1] - first[1], last[2] - first[2], len(inside), first[0], last[0])


def _row(path: Path, number: int, row: dict[str, str]) -> tuple[int, float, float]:
    try:
        moment = datetime.fromisoformat(row["time"])
        if moment.tzinfo is None:
            raise ReportError(f"{path}: row {number}: the time needs its zone, as in 2026-03-01T06:00:00+01:00")
        total, good = float(row["total"]), float(row["good"])
        if not 0 <= good <= total < float("inf"):
            raise ReportError(f"{path}: row {number}: expected 0 <= good <= total")
        return round(moment.timestamp() * 1000), total, good
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{path}: row {number}: expected the columns time (ISO 8601 with its zone), total and good"
        ) from error
