"""A report as CSV files: UTF-8, units in the heading, times in ISO 8601 with their zone, the records behind each row.

A report has several tables, so it is several files: its figures, each of its tables, and the data of each chart.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from quaver.errors import ReportError
from quaver.reports.model import Behind, Cell, Chart, Column, Note, Report, Row, Table
from quaver.reports.words import Words

MAIN = {"energy": "by_group", "availability": "machines", "control": "individuals", "life": "trend"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run, where a text begins with it
_DIGITS = 9  # significant


def sheets(report: Report, language: str) -> dict[str, str]:
    """Each file's text by its key, the main one first."""
    words = Words(language, report.zone)
    found = {"figures": _figures(report, words)}
    for table in report.tables:
        found[table.key] = _table(table, words)
    for key in dict.fromkeys(chart.key for chart in report.charts):
        if key not in found:
            found[key] = _chart([chart for chart in report.charts if chart.key == key], words)
    main = MAIN[report.kind] if MAIN[report.kind] in found else "figures"
    return {main: found.pop(main), **found}


def sheet(report: Report, language: str, key: str = "") -> str:
    """One of them, the main one where no key is given. Raises ReportError for a key that the report has not."""
    found = sheets(report, language)
    if key and key not in found:
        raise ReportError(f"{key[:40]}: is no table of this report; it has {', '.join(found)}")
    return found[key] if key else next(iter(found.values()))


def _text(rows: Iterator[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180
    return out.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _heading(words: Words, key: str, unit: str = "") -> str:
    shown = words.unit(unit)
    return f"{words.text(key)} ({shown})" if shown else words.text(key)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{_DIGITS}g}"


def _time(words: Words, time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, words.zone).isoformat(timespec="milliseconds")


def _cell(words: Words, cell: Cell, column: Column) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Note):
        return _safe(words.note(cell))
    if isinstance(cell, str):
        return _safe(cell)
    return _time(words, int(cell)) if column.kind == "time" else _number(cell)


def _records_heading(words: Words) -> list[str]:
    first, last = words.text("first_record"), words.text("last_record")
    return [words.text("node"), f"{first} (boot/seq)", f"{last} (boot/seq)", words.text("records")]


def _records(behind: tuple[Behind, ...]) -> list[str]:
    """Of several nodes with semicolons between."""
    return [
        _safe(";".join(one.node for one in behind)),
        ";".join("{}/{}".format(*one.first) for one in behind),
        ";".join("{}/{}".format(*one.last) for one in behind),
        ";".join(str(one.records) for one in behind),
    ]


def _table(table: Table, words: Words) -> str:
    def rows() -> Iterator[Sequence[str]]:
        yield [*(_heading(words, column.key, column.unit) for column in table.columns), *_records_heading(words)]
        row: Row
        for row in table.rows:
            cells = [_cell(words, cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
            yield [*cells, *_records(row.behind)]

    return _text(rows())


def _figures(report: Report, words: Words) -> str:
    """A line a figure. Figures have units of their own, so the unit stands beside each and not in the heading."""

    def rows() -> Iterator[Sequence[str]]:
        names = ("machine", "what", "value", "from_low", "to_high", "unit", "why")
        yield [*(words.text(name) for name in names), *_records_heading(words)]
        for one in report.figures:
            numbers = ["" if value is None else _number(value) for value in (one.value, one.low, one.high)]
            why = words.note(one.why) if one.why else ""
            yield [
                _safe(one.subject), words.text(one.key), *numbers, words.unit(one.unit), why, *_records(one.behind),
            ]  # fmt: skip

    return _text(rows())


def _chart(charts: Sequence[Chart], words: Words) -> str:
    """The data of charts of one kind, a line a moment; a line's values stand in a column, its limits in columns too."""

    def rows() -> Iterator[Sequence[str]]:
        keys = dict.fromkeys(line.key for chart in charts for line in chart.lines)
        bands = {line.key for chart in charts for line in chart.lines if line.high}
        unit = charts[0].unit
        heads = [_heading(words, key, unit) for key in keys for _ in range(1 + (key in bands))]
        limits = list(dict.fromkeys(limit.key for chart in charts for limit in chart.limits))
        yield [words.text("machine"), words.text("time"), *heads, *(_heading(words, key, unit) for key in limits)]
        for chart in charts:
            held = {limit.key: _number(limit.value) for limit in chart.limits}
            by_time: dict[int, dict[tuple[str, int], str]] = {}
            for line in chart.lines:
                for i, (time_ms, value) in enumerate(zip(line.times_ms, line.values, strict=True)):
                    cells = by_time.setdefault(time_ms, {})
                    cells[line.key, 0] = "" if value is None else _number(value)
                    if line.high:
                        cells[line.key, 1] = _number(line.high[i])
            for time_ms in sorted(by_time):
                cells = by_time[time_ms]
                values = [cells.get((key, i), "") for key in keys for i in range(1 + (key in bands))]
                yield [_safe(chart.subject), _time(words, time_ms), *values, *(held.get(key, "") for key in limits)]

    return _text(rows())
