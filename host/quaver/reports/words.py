"""Puts a report into words: texts, numbers, times and units in English or German."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from quaver.messages.quantities import QUANTITIES
from quaver.reports.model import Behind, Cell, Column, Figure, Line, Note, Report, Row, Table

LANGUAGES = ("en", "de")
# UCUM's codes as people write them.
_UNITS = {"[g]": "g", "1": "", "Cel": "°C", "By": "B", "kW.h": "kWh", "V.A": "VA", "us": "µs"}
_DATE = {"en": "%Y-%m-%d %H:%M", "de": "%d.%m.%Y %H:%M"}
_SIGNIFICANT = 3


@lru_cache
def _read(language: str) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
    data = tomllib.loads(Path(__file__).with_name(f"{language}.toml").read_text("utf-8"))
    return data["text"], data["note"], data.get("quantity", {})


class Words:
    """In one language. zone: in which times are shown."""

    def __init__(self, language: str, zone: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self.zone = ZoneInfo(zone)
        self._texts, self._notes, self._quantities = _read(self.language)

    def text(self, key: str, **values: object) -> str:
        """A heading; of a quantity its title, in English where the language has none."""
        if key in QUANTITIES:
            return self._quantities.get(key, QUANTITIES[key].title)
        return self._texts[key].format(**values)

    def note(self, note: Note) -> str:
        return self._notes[note.key].format(**{key: self._value(key, value) for key, value in note.values.items()})

    def _value(self, key: str, value: object) -> str:
        if key.endswith("_ms") and isinstance(value, int):
            return self.time(value)
        if key == "quantity":
            return self.text(str(value))
        if isinstance(value, float):
            return self.number(value)
        return str(value)

    def unit(self, ucum: str) -> str:
        return _UNITS.get(ucum, ucum)

    def number(self, value: float, digits: int | None = None) -> str:
        """digits: behind the point; without it as many as make three that count."""
        if digits is None:
            size = f"{abs(value):e}".partition("e")
            digits = max(0, _SIGNIFICANT - 1 - int(size[2])) if value else 0
        text = f"{value:,.{min(digits, 9)}f}"
        if digits > _SIGNIFICANT:
            text = text.rstrip("0").rstrip(".") if "." in text else text
        return text if self.language == "en" else text.translate(str.maketrans(",.", ".,"))

    def time(self, time_ms: int) -> str:
        return datetime.fromtimestamp(time_ms / 1000, self.zone).strftime(_DATE[self.language])

    def length(self, seconds: float) -> str:
        """A duration, in the two largest units that it has."""
        minutes, hours = round(seconds / 60), seconds / 3600
        if seconds < 120:
            return f"{self.number(seconds, 0)} s"
        if hours < 1:
            return f"{minutes} min"
        return f"{minutes // 60} h {minutes % 60:02d} min"

    def hours(self, hours: float) -> str:
        """A time to come, in a unit that fits it."""
        if hours < 2:
            return f"{self.number(hours * 60)} min"
        if hours < 96:
            return f"{self.number(hours)} h"
        return f"{self.number(hours / 24)} {'d' if self.language == 'en' else 'Tage'}"

    def cell(self, cell: Cell, column: Column) -> str:
        if cell is None:
            return "-"
        if isinstance(cell, Note):
            return self.note(cell)
        if isinstance(cell, str):
            return cell
        if column.kind == "time":
            return self.time(int(cell))
        if column.kind == "seconds":
            return self.length(cell)
        return self.number(cell, column.digits)

    def cells(self, row: Row, table: Table) -> list[str]:
        """As people read them: of a machine its name alone."""
        texts = [self.cell(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
        return [
            text.rpartition("/")[2] if column.key == "machine" else text
            for text, column in zip(texts, table.columns, strict=True)
        ]

    def figure(self, figure: Figure) -> str:
        """A figure's value with its unit or interval, or why there is none."""
        unit = self.unit(figure.unit)
        if figure.key == "remaining" and figure.low is not None:
            return self.text("not_before_hours", low=self.hours(figure.low))
        if figure.value is None:
            bound = f" (> {self.number(figure.low)} {unit})" if figure.low is not None else ""
            return (self.note(figure.why) if figure.why else self.text("not_known")) + bound
        text = f"{self.number(figure.value, 0 if isinstance(figure.value, int) else None)} {unit}".strip()
        if figure.low is not None and figure.high is not None:
            text += f" ({self.text('from_to', low=self.number(figure.low), high=self.number(figure.high))})"
        return text


def as_json(report: Report, language: str, most: int = 1_000_000) -> dict[str, Any]:
    """The report with its words.

    most: points of a line of a chart. records: those behind each figure and row, as [node, first, last, how many],
    first and last as [boot, seq].
    """
    words = Words(language, report.zone)
    return {
        "kind": report.kind,
        "title": words.text(report.kind),
        "language": words.language,
        "nodes": list(report.nodes),
        "since_ms": report.since_ms,
        "until_ms": report.until_ms,
        "zone": report.zone,
        "about": {key: {"key": value, "title": words.text(value)} for key, value in report.about.items()},
        "figures": [
            {
                "key": one.key, "title": words.text(one.key), "subject": one.subject, "value": one.value,
                "unit": words.unit(one.unit), "low": one.low, "high": one.high, "text": words.figure(one),
                "why": words.note(one.why) if one.why else None, "records": _records(one.behind),
            }
            for one in report.figures
        ],
        "tables": [
            {
                "key": table.key, "title": words.text(table.key),
                "columns": [{"key": c.key, "title": words.text(c.key), "unit": words.unit(c.unit), "kind": c.kind}
                            for c in table.columns],
                "rows": [
                    {"cells": words.cells(row, table), "records": _records(row.behind)}
                    for row in table.rows
                ],
            }
            for table in report.tables
        ],
        "charts": [
            {
                "key": chart.key, "title": words.text(chart.key), "subject": chart.subject,
                "unit": words.unit(chart.unit),
                "lines": [_line(line, words, most) for line in chart.lines],
                "limits": [{"key": limit.key, "title": words.text(limit.key), "value": limit.value}
                           for limit in chart.limits],
            }
            for chart in report.charts
        ],
        "notes": [words.note(one) for one in report.notes],
        "definitions": [words.note(one) for one in report.definitions],
    }  # fmt: skip


def _line(line: Line, words: Words, most: int) -> dict[str, Any]:
    times, values = line.thinned(most)
    high = list(line.high)
    if high:  # a band is smooth: every so many of its points will do
        step = -(-len(high) // most)
        times, values, high = list(line.times_ms[::step]), list(line.values[::step]), high[::step]
    shown = {"key": line.key, "title": words.text(line.key), "kind": line.kind}
    return {**shown, "times_ms": times, "values": values, "high": high}


def _records(behind: tuple[Behind, ...]) -> list[list[Any]]:
    return [[one.node, list(one.first), list(one.last), one.records] for one in behind]
