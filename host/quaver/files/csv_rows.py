"""Strict reading of CSV files: every mistake by row and column, and the good rows."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.errors import InventoryError

_FILE_MAX = 8 << 20
_CELL_MAX = 200
_DELIMITERS = ",;\t"
_AS_TEXT = re.compile(r"""=?"([^"]*)"|'(.*)""")  # how a spreadsheet is told that a cell is no number
_CODE_SYMBOLS = 16
_RATIO_MAX = 999.0  # of a bearing's line to the shaft's speed


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

    Fields are divided by commas, semicolons or tabs, whichever makes columns of the heading; its names may be in any
    case, with blanks or dashes for "_". A column may be missing unless it is required, an empty cell is an absent
    value, an empty line is no row. The text is UTF-8, or UTF-16 that says so. Raises InventoryError when the file can't
    be read, or its heading is not of these columns.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: can't be read ({error.strerror}); check the name") from error
    if len(data) > _FILE_MAX:
        raise InventoryError(f"{path}: is larger than {_FILE_MAX >> 20} MiB; split it")
    text = _decoded(path, data)
    lines = re.split(r"\r\n|\r|\n", text)
    first = next((at for at, line in enumerate(lines) if line.strip() and not line.lower().startswith("sep=")), 0)
    delimiter = _delimiter(lines[first], columns)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    rows: list[tuple[int, dict[str, Any]]] = []
    mistakes: list[Mistake] = []
    line = 0
    try:
        heading: list[str] = []
        for _ in range(first + 1):
            heading = [_column(cell) for cell in next(reader, [])]
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


def _decoded(path: Path, data: bytes) -> str:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        # Latin-1 and its kin can't be told apart, and a name that is read by the wrong one is another name.
        line = data.count(b"\n", 0, error.start) + 1
        raise InventoryError(
            f"{path}: line {line} is not UTF-8 text; save it as CSV UTF-8 (in Excel a type of its own)"
        ) from error
    if "\0" in text:
        raise InventoryError(f"{path}: is not text; save it as CSV in UTF-8")
    return text


def _delimiter(heading: str, columns: Mapping[str, Column]) -> str:
    """What divides the fields: with it the heading has the most names that are columns, then the most at all."""

    def fitness(mark: str) -> tuple[int, int]:
        names = [_column(cell) for cell in heading.split(mark)]
        return sum(name in columns for name in names), len(names)

    return max(_DELIMITERS, key=fitness)


def _column(cell: str) -> str:
    """A heading's cell as the name of a column: "Time server" is time_server."""
    return re.sub(r"[\s_-]+", "_", cell.strip(" \t\r\n\"'").casefold())


def _check_heading(path: Path, heading: list[str], columns: Mapping[str, Column]) -> None:
    for name in heading:
        if name and name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(columns)}"
            raise InventoryError(f"{path}: column {shown(name)} is unknown: {meant}")
        if name and heading.count(name) > 1:
            raise InventoryError(f"{path}: column {name!r} appears twice: keep one")
    for name, column in columns.items():
        if column.required and name not in heading:
            raise InventoryError(f"{path}: has no column {name!r}: add it")


def _row(
    line: int, heading: list[str], cells: list[str], columns: Mapping[str, Column], mistakes: list[Mistake]
) -> dict[str, Any] | None:
    before = len(mistakes)
    while len(cells) > len(heading) and not cells[-1].strip():
        cells = cells[:-1]  # spreadsheets fill up
    if len(cells) != len(heading):
        why = "; quote the cells that contain the delimiter" if len(cells) > len(heading) else ""
        mistakes.append(Mistake(line, "", f"has {len(cells)} cells, the heading {len(heading)}{why}"))
        return None
    values: dict[str, Any] = {}
    for name, cell in zip(heading, cells, strict=True):
        as_text = _AS_TEXT.fullmatch(cell.strip())
        cell = (as_text[1] or as_text[2] or "" if as_text else cell).strip()
        if not name:
            if cell:
                mistakes.append(Mistake(line, "", "has a cell without a heading: name its column, or clear the cell"))
            continue
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


def shown(text: str) -> str:
    """A cell's text for a message, unless it may be a secret that is in the wrong place: a URL, a code."""
    if "://" in text or "@" in text:
        return "a URL"
    if len(re.sub("[ -]", "", text)) == _CODE_SYMBOLS and re.fullmatch("[0-9A-Za-z -]+", text):
        return "what may be a code"
    return repr(text)


def place_part(text: str) -> str:
    """A level of the namespace, or a node's name."""
    if len(text) > 24 or any(mark in text for mark in "/+#"):
        raise ValueError(f"expected 1 to 24 characters without / + #, found {shown(text)}")
    return text


def node_id(text: str) -> bytes:
    """A node's id, all of its 16 digits: what a spreadsheet took for a number has lost some."""
    digits = text.replace(":", "").lower()
    if re.fullmatch(r"[0-9]+([.,][0-9]*)?e\+[0-9]+", digits):
        raise ValueError(f"{text!r} is an id that a spreadsheet rounded: format the column as text, and enter it again")
    if len(digits) != 16 or digits.strip("0123456789abcdef"):
        lost = "; spreadsheets remove leading zeros: format the column as text" if digits.isdecimal() else ""
        raise ValueError(f"expected 16 hexadecimal digits, found {shown(text)}{lost}")
    return bytes.fromhex(digits)


def decimal(text: str, low: float, high: float) -> float:
    """A number with a decimal point or comma; NaN for what is none, or not from low to high.

    Raises ValueError for what may be two numbers in this range: "1.480", a thousand and more where points group digits.
    """
    if not re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?", text):
        return math.nan
    value = float(text.replace(",", "."))
    grouped = float(re.sub("[.,]", "", text))
    if re.fullmatch(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}", text) and low <= grouped <= high:
        if low <= value <= high:
            point = text.replace(",", ".")
            raise ValueError(f"{text!r} may be {value:g} or {grouped:g}: write {point}0 or {grouped:g}")
        return math.nan
    return value if low <= value <= high else math.nan


def figure(value: float) -> str:
    """A number as `decimal` takes it back, whatever the range."""
    text = f"{value:.10g}"
    return f"{text}0" if re.fullmatch(r"-?[1-9][0-9]{0,2}[.][0-9]{3}", text) else text


def number(low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = decimal(text, low, high)
        if math.isnan(value):
            grouped = re.fullmatch(r"[0-9]{1,3}([.,' \u00a0\u202f][0-9]{3})+([.,][0-9]+)?", text)
            plain = " written without thousands separators" if grouped else ""
            raise ValueError(f"expected a number from {low:g} to {high:g}{unit}{plain}, found {shown(text)}")
        return value

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}, found {shown(text)}")
        return text.lower()

    return parse


def bearing(text: str) -> str | list[float]:
    """A name of the library, or "BPFO/BPFI/BSF/FTF" as multiples of the shaft's speed."""
    from quaver_wire.bearings import LIBRARY

    if text.lower() in LIBRARY:
        return text.lower()
    parts = text.split("/")
    if len(parts) == 4:
        try:
            values = [decimal(part.strip(), 0, _RATIO_MAX) for part in parts]
        except ValueError:
            values = []
        if values and all(value > 0 for value in values):
            return values
    close = difflib.get_close_matches(text.lower(), LIBRARY, 3, 0.5)
    near = f" (near it: {', '.join(close)})" if close else ""
    raise ValueError(f"bearing {shown(text)} is not in the library{near}; a name, or BPFO/BPFI/BSF/FTF")
