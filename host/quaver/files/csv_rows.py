"""Strict reading of CSV files that people made: each mistake by row and column, all of them, and the good rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.errors import InventoryError

_FILE_MAX = 8 << 20
_CELL_MAX = 200


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong. row: the line in the file, its heading being 1; column: "" for the whole row."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}{f', {self.column}' if self.column else ''}: {self.reason}"


@dataclass(frozen=True)
class Column:
    """A column: `parse` takes a cell's text, without blanks around it, and raises ValueError with what it expected."""

    parse: Callable[[str], Any]
    required: bool = False


def read_rows(path: Path, columns: Mapping[str, Column]) -> tuple[list[tuple[int, dict[str, Any]]], list[Mistake]]:
    """The rows of a CSV file with a heading, (row number, {column: value}), and what is wrong with the others.

    A column may be missing unless it is required, an empty cell is an absent value, an empty line is no row.
    Raises InventoryError when the file can't be read, or its heading is not of these columns.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: can't be read ({error.strerror}); check the name") from error
    if len(data) > _FILE_MAX:
        raise InventoryError(f"{path}: is larger than {_FILE_MAX >> 20} MiB; split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InventoryError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    mistakes: list[Mistake] = []
    line = 0
    try:
        heading = [cell.strip() for cell in next(reader, [])]
        _check_heading(path, heading, columns)
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                row = _row(line, heading, cells, columns, mistakes)
                if row is not None:
                    rows.append((line, row))
    except csv.Error as error:
        mistakes.append(Mistake(line + 1, "", f"not CSV ({error}); the rows after it were not read"))
    return rows, mistakes


def _check_heading(path: Path, heading: list[str], columns: Mapping[str, Column]) -> None:
    for name in heading:
        if name not in columns:
            raise InventoryError(f"{path}: column {name!r} is unknown: expected some of {', '.join(columns)}")
        if heading.count(name) > 1:
            raise InventoryError(f"{path}: column {name!r} is there twice: keep one")
    for name, column in columns.items():
        if column.required and name not in heading:
            raise InventoryError(f"{path}: has no column {name!r}: add it")


def _row(
    line: int, heading: list[str], cells: list[str], columns: Mapping[str, Column], mistakes: list[Mistake]
) -> dict[str, Any] | None:
    before = len(mistakes)
    if len(cells) != len(heading):
        mistakes.append(Mistake(line, "", f"has {len(cells)} cells, the heading {len(heading)}"))
        return None
    values: dict[str, Any] = {}
    for name, cell in zip(heading, cells, strict=True):
        cell = cell.strip()
        if not cell:
            if columns[name].required:
                mistakes.append(Mistake(line, name, "is missing"))
            continue
        try:
            if len(cell) > _CELL_MAX or not cell.isprintable():
                raise ValueError(f"expected at most {_CELL_MAX} printable characters")
            values[name] = columns[name].parse(cell)
        except ValueError as error:
            mistakes.append(Mistake(line, name, str(error)))
    return values if len(mistakes) == before else None


# What cells may hold.


def place_part(text: str) -> str:
    """A level of the namespace, or a node's name."""
    if len(text) > 24 or any(mark in text for mark in "/+#"):
        raise ValueError(f"expected 1 to 24 characters without / + #, found {text!r}")
    return text


def node_id(text: str) -> bytes:
    digits = text.replace(":", "").lower()
    if len(digits) != 16 or digits.strip("0123456789abcdef"):
        raise ValueError(f"expected 16 hexadecimal digits, found {text!r}")
    return bytes.fromhex(digits)


def number(low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}{unit}, found {text!r}")
        return value

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}, found {text!r}")
        return text

    return parse


def bearing(text: str) -> str | list[float]:
    """A name of the library, or "BPFO/BPFI/BSF/FTF" as multiples of the shaft's speed."""
    import difflib

    from quaver_wire.bearings import LIBRARY

    if text.lower() in LIBRARY:
        return text.lower()
    parts = text.split("/")
    if len(parts) == 4:
        try:
            values = [float(part) for part in parts]
        except ValueError:
            values = []
        if values and all(0 < value < 1000 for value in values):
            return values
    close = difflib.get_close_matches(text.lower(), LIBRARY, 3, 0.5)
    near = f" (near it: {', '.join(close)})" if close else ""
    raise ValueError(f"bearing {text!r} is not in the library{near}; a name, or BPFO/BPFI/BSF/FTF")
