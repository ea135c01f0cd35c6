"""Columns of numbers as text: .csv, .txt, LabVIEW's .lvm and what else writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings import stamps
from quaver.recordings.contents import Contents, Options, Rate, RateError, Signal
from quaver.recordings.dialect import (
    MISSING,
    Dialect,
    decimal_of,
    decode,
    delimiter_of,
    fits,
    is_comment,
    kind,
    kinds,
    of_numbers,
    split,
)
from quaver.recordings.header import read_header, stated_rates, stated_units, title_unit
from quaver.recordings.time_axis import Axis, is_time_name, judge
from quaver.recordings.units import unit_in, unit_named

_FEW_ROWS, _LONG_ROW = 8, 64  # so few lines of so many numbers are signals that lie along the lines
_LABELS = 20
_LABELLED = 64  # rows with one label, at least, where labels are states and not sensors that take turns
_OUTLIER = 10.0
_LVM_MARKS = {"tab": "tab", "comma": "comma", "semicolon": "semicolon", "space": "space"}


@dataclass
class _Block:
    """The lines of numbers: their cells, their line numbers, and the lines above them."""

    dialect: Dialect
    rows: list[list[str]]
    numbers: list[int]
    above: list[str]
    notes: list[str]
    along: bool = False


def read_text(path: Path, options: Options) -> Contents:
    """Encoding, delimiter, decimal mark, header and columns are found together; what is not certain is refused.

    Raises DialectError for text that can be read in two ways, RecordingError with the line that does not fit.
    """
    text, encoding = decode(path, path.read_bytes())
    text = text.replace("\N{MINUS SIGN}", "-")
    lines = re.split("\r\n|\n|\r", text)
    if lines and not lines[-1]:
        lines.pop()
    if not any(line.strip() for line in lines):
        raise RecordingError(f"{path}: has no samples, only blank lines: record it again")
    options = _labview_marks(path, lines, options)
    block = _block(path, lines, options)
    if encoding not in ("UTF-8",):
        block.notes.append(f"encoded as {encoding}")
    return _contents(path, block, options)


def _labview_marks(path: Path, lines: Sequence[str], options: Options) -> Options:
    """LabVIEW's own header says its delimiter and its decimal mark."""
    if not lines[0].startswith("LabVIEW Measurement"):
        return options
    keys = dict(line.rstrip("\t ").split("\t", 1) for line in lines[:40] if "\t" in line.rstrip("\t "))
    if options.delimiter is None and (mark := _LVM_MARKS.get(keys.get("Separator", "").lower())):
        options = replace(options, delimiter=mark)
    if options.decimal is None and keys.get("Decimal_Separator") in (".", ","):
        options = replace(options, decimal=keys["Decimal_Separator"])
    return options


def _block(path: Path, lines: list[str], options: Options) -> _Block:
    """Find the lines of numbers. Raises RecordingError for any among them that does not fit."""

    def named(width: int) -> bool:
        """Whether the last line above the numbers is that many names, divided by commas."""
        for line in lines[:100]:
            cells = split(line.strip().lstrip("#% "), ",")
            found = kinds(cells)
            if found and found.strip("NMX") == "" and "N" in found:
                return False
            if len(cells) == width and set(found) <= {"S"}:
                return True
        return False

    dialect = delimiter_of(path, lines, options.delimiter, options.decimal, named)
    pattern, delimiter = dialect.pattern, dialect.delimiter
    rows: list[list[str]] = []
    numbers: list[int] = []
    stray: list[tuple[int, str]] = []  # lines after the first of numbers that are none
    above: list[str] = []
    whole_line = of_numbers(len(pattern), delimiter).fullmatch if set(pattern) == {"N"} else None
    for number, line in enumerate(lines, start=1):
        if whole_line and not stray and whole_line(line):
            rows.append(split(line, delimiter))
            numbers.append(number)
            continue
        if not line.strip():
            continue
        cells = split(line, delimiter)
        comment = is_comment(line, delimiter)
        found = "" if comment else kinds(cells)
        torn = len(found) < len(pattern) and delimiter is not None and not line.rstrip(" ").endswith(delimiter)
        if found and not torn and fits(found, pattern) and ("N" in found or rows):
            if stray:
                raise _misfit(path, stray[0], pattern, lines)
            rows.append(cells + [""] * (len(pattern) - len(cells)))
            numbers.append(number)
        elif not rows:
            above.append(line)
        elif not comment:
            stray.append((number, line))
    notes = []
    if stray:
        if any(kind(split(line, delimiter)[0] if split(line, delimiter) else "") not in "S" for _, line in stray):
            raise _misfit(path, stray[0], pattern, lines)
        count = f"{len(stray)} lines" if len(stray) > 1 else "a line"
        notes.append(
            f"{count} of text after the numbers left out, from line {stray[0][0]} on: {stray[0][1].strip()[:30]!r}"
        )
    if not rows:
        raise RecordingError(f"{path}: has no samples: none of its lines holds numbers")
    block = _Block(dialect, rows, numbers, above, notes)
    if len(rows) <= _FEW_ROWS and len(pattern) >= _LONG_ROW and set(pattern) == {"N"}:
        block.rows = [list(column) for column in zip(*rows, strict=True)]
        block.dialect = Dialect(delimiter, "N" * len(rows))
        block.along = True
        notes.append(
            f"{'a line' if len(rows) == 1 else f'{len(rows)} lines'} of {len(pattern)} numbers, read along the line"
        )
    return block


def _misfit(path: Path, line: tuple[int, str], pattern: str, lines: Sequence[str]) -> RecordingError:
    number, text = line
    if "***End_of_Header***" in "".join(lines[number - 1 : number + 30]):
        return RecordingError(f"{path}: line {number}: another segment begins: save each as a file of its own")
    wanted = (
        f"{len(pattern)} number{'s' if len(pattern) > 1 else ''}"
        if set(pattern) == {"N"}
        else f"{len(pattern)} columns as above"
    )
    return RecordingError(
        f"{path}: line {number}: expected {wanted}, found {text.strip()[:40]!r}: correct or remove the line"
    )


def _contents(path: Path, block: _Block, options: Options) -> Contents:
    pattern = block.dialect.pattern
    columns = [list(column) for column in zip(*block.rows, strict=True)]
    if block.along:

        def row(at: int) -> str:
            return f"number {at + 1}"
    else:

        def row(at: int) -> str:
            return f"line {block.numbers[at]}"

    # A missing number has no mark: no need to look for them here.
    cells = [cell for at, column in enumerate(columns) if pattern[at] == "N" for cell in column]
    decimal = decimal_of(path, cells, block.dialect.delimiter, options.decimal)
    arrays: list[NDArray[Any] | None] = [
        _numbers(path, column, decimal, row) if pattern[at] == "N" else None for at, column in enumerate(columns)
    ]
    rates = stated_rates(block.above)
    _check_first(path, columns, arrays=arrays, block=block, rates=rates, options=options)
    if block.numbers and len(arrays[0] if arrays[0] is not None else columns[0]) == 0:
        raise RecordingError(f"{path}: has no samples")
    first = arrays[0]
    indexed = first is not None and len(first) > 2 and bool((np.diff(first) == 1).all())
    header = read_header(block.above, block.dialect.delimiter, len(columns), indexed)
    contents = Contents([], rates, notes=block.notes)
    common = title_unit(header.title) if not any(header.names) else None
    stated = stated_units(block.above, len(columns))
    _stamped(path, columns, names=header.names, pattern=pattern, row=row, contents=contents)
    for at, values in enumerate(arrays):
        name = header.names[at]
        label = f"column {name!r}" if name else f"column {at}"
        if pattern[at] == "S":
            if note := _check_labels(path, label, columns[at], row, options.channel is not None):
                contents.notes.append(note)
            contents.not_signals[name or str(at)] = "text"
        elif values is None:
            contents.not_signals[name or str(at)] = "the time"
        elif not np.isfinite(values.astype(np.float64)).any():
            contents.not_signals[name or str(at)] = "empty"
        else:
            axis = _axis(
                path,
                name,
                label=label,
                cells=columns[at],
                values=values,
                unit=header.units[at],
                decimal=decimal,
                row=row,
                options=options,
            )
            if axis is not None:
                told = {"time": "the time", "index": "an index", "rising": "neither a signal nor time: it never falls"}
                contents.not_signals[name or str(at)] = told[axis.kind]
                if axis.rate is not None:
                    contents.rates.append(axis.rate)
                if axis.spacing is not None:
                    contents.spacings.append((label, axis.spacing))
                if axis.note:
                    contents.notes.append(axis.note)
                continue
            unit = header.units[at]
            said = (unit_named(unit) or f"?{unit}") if unit else unit_in(name) if name else common
            said = said or stated[at]
            contents.signals.append(Signal(name, values, at, said))
    return contents


def _numbers(path: Path, cells: list[str], decimal: str, row: Any) -> NDArray[Any]:
    """The cells as int64 if all are whole numbers, else as float64 with NaN for what is missing."""
    other = "," if decimal == "." else "."
    text = "\n".join(cells)
    if other in text:
        at, cell = next((at, cell) for at, cell in enumerate(cells) if other in cell)
        raise RecordingError(
            f"{path}: {row(at)}: {cell!r} has a {'comma' if other == ',' else 'point'}, where the decimal mark is "
            f"{decimal!r}: write numbers without thousands marks"
        )
    if all(map(re.compile(r"[-+]?\d{1,18}", re.ASCII).fullmatch, cells)):
        return np.array(list(map(int, cells)), np.int64)
    written = text.replace(",", ".").replace("d", "e").replace("D", "e").split("\n")  # no missing one has a d
    return np.array([math.nan if cell.lower() in MISSING else float(cell) for cell in written], np.float64)


def _quantum(cells: Sequence[str], decimal: str) -> float:
    """The step of the last digit that is written."""
    if any("e" in cell.lower() for cell in cells[:1000]):
        shown = [re.split("[eE]", cell) for cell in cells]
        return max(
            10.0 ** (int(part[1] if len(part) > 1 else 0) - len(part[0].partition(decimal)[2])) for part in shown
        )
    return float(10.0 ** -max(len(cell.partition(decimal)[2]) for cell in cells))


def _axis(
    path: Path, name: str, label: str, cells: list[str], values: NDArray[Any], unit: str | None, decimal: str, row: Any,
    options: Options,
) -> Axis | None:  # fmt: skip
    """What the column is, if it is no signal."""
    if not np.isfinite(values.astype(np.float64)).all():
        if is_time_name(name):
            raise RecordingError(f"{path}: {label} is the time and lacks values: correct the file")
        return None
    called = f"{name} ({unit})" if unit else name
    try:
        return judge(called, label, values, row, quantum=_quantum(cells, decimal))
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None


def _stamped(
    path: Path, columns: list[list[str]], names: list[str], pattern: str, row: Any, contents: Contents
) -> None:
    """Dates and times of day as text: the rate that they give."""
    at = pattern.find("T")
    if at < 0:
        return
    texts = columns[at]
    for beside in (at - 1, at + 1):
        if 0 <= beside < len(pattern) and pattern[beside] == "D" and not stamps.DATE.match(texts[0]):
            texts = [f"{day} {clock}" for day, clock in zip(columns[beside], texts, strict=True)]
    label = f"column {names[at]!r}" if names[at] else f"column {at}"
    if any(not stamps.is_stamp(text) for text in texts):
        raise RecordingError(f"{path}: {label} is the time and lacks values: correct the file")
    try:
        seconds = stamps.seconds(texts)
        fraction = max(len(text.partition(".")[2].rstrip("Zz")) for text in texts[:1000])
        axis = judge(
            names[at], label, seconds, row, stamps=True, quantum=10.0 ** -min(fraction, 9) if fraction else 1.0
        )
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None
    if axis is not None and axis.rate is not None:
        contents.rates.append(axis.rate)
    if axis is not None and axis.note:
        contents.notes.append(axis.note)


def _check_labels(path: Path, label: str, cells: list[str], row: Any, chosen: bool) -> str:
    """Labels that change tell of rows that are not one signal: several sensors, or several states.

    chosen: by a person, who may know better as long as the labels do not alternate. Returns a note, if any.
    """
    changes = [at for at in range(1, len(cells)) if cells[at] != cells[at - 1]]
    if not changes or len(set(cells)) > _LABELS:
        return ""
    at = changes[0]
    what = f"{label} changes from {cells[at - 1][:20]!r} to {cells[at][:20]!r} at {row(at)}"
    if chosen and len(changes) * _LABELLED <= len(cells):
        return what
    raise RecordingError(f"{path}: {what}: the rows are not of one signal; keep those of one")


def _check_first(
    path: Path,
    columns: list[list[str]],
    arrays: list[NDArray[Any] | None],
    block: _Block,
    rates: list[Rate],
    options: Options,
) -> None:
    """A rate, or the columns' numbers, that stand above as if they were samples are none."""
    lone = [line.strip() for line in block.above if kinds(split(line, block.dialect.delimiter)).strip("N") == ""]
    lone = [line for line in lone if line and not is_comment(line, block.dialect.delimiter)]
    given = options.rate is not None and (not rates or True)
    if lone and not rates and not given and len(columns) > 1 and not _column_numbers(lone[-1], len(columns)):
        raise RateError(f"{path}: line {lone[0][:20]!r} above the samples may be the sampling rate: give it")
    if block.along or len(block.rows) < 3 or any(array is None for array in arrays):
        return
    values = [array for array in arrays if array is not None]
    top = block.rows[0]
    whole = all(re.fullmatch(r"[-+]?\d+", cell) for cell in top)
    if not whole:
        return
    decimals = [
        {len(re.split("[.,]", cell)[1]) if re.search("[.,]", cell) else 0 for cell in column[1:]} for column in columns
    ]
    fixed = all(len(found) == 1 and found != {0} for found in decimals)
    number = abs(float(values[0][0]))
    rest = float(np.nanmax(np.abs(values[0][1:].astype(np.float64)))) if len(values[0]) > 1 else 0.0
    lonely = len(values) == 1 and number >= 50 and number > _OUTLIER * rest
    if not fixed and not lonely:
        return
    if len(values) > 1 and _column_numbers(" ".join(top), len(values)):
        pass  # the columns' numbers, as pandas writes them
    elif len(values) == 1 and options.rate is not None and abs(number / options.rate - 1) <= 0.01:
        rates.append(Rate(number, f"line {block.numbers[0]}"))
    else:
        raise RateError(
            f"{path}: line {block.numbers[0]}: {' '.join(top)[:30]!r} is written unlike the samples below "
            "and may be the "
            "sampling rate: give that rate, or remove the line"
        )
    block.rows.pop(0)
    block.numbers.pop(0)
    for at, column in enumerate(columns):
        column.pop(0)
        array = arrays[at]
        arrays[at] = None if array is None else array[1:]


def _column_numbers(line: str, width: int) -> bool:
    cells = re.split(r"[\s,;|]+", line.strip())
    return cells in ([str(at) for at in range(width)], [str(at + 1) for at in range(width)])
