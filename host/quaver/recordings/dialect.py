"""How a text is written: its encoding, what divides its columns, and its decimal mark, the last two found together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from quaver.errors import RecordingError
from quaver.recordings.contents import DialectError
from quaver.recordings.stamps import is_date, is_stamp

# Names that a person may give a delimiter by. None: no delimiter, one column.
DELIMITERS: dict[str, str | None] = {
    "comma": ",", ",": ",", "semicolon": ";", ";": ";", "tab": "\t", "\t": "\t", "\\t": "\t", "pipe": "|", "|": "|",
    "space": " ", " ": " ", "none": None,
}  # fmt: skip
DECIMALS = {"point": ".", ".": ".", "comma": ",", ",": ","}

_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eEdD][-+]?\d+)?", re.ASCII)
MISSING = frozenset(
    ("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "--", "inf", "-inf", "+inf", "infinity", "-infinity", "-nan")
)
_MARKS = "\t;|,"
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip
_SAMPLED = 600  # lines that the delimiter is found by
_THOUSANDS = r"[-+]?[1-9]\d{0,2}"
_GROUPED = {mark: re.compile(rf"{_THOUSANDS}(?:{re.escape(mark)}\d{{3}})", re.ASCII) for mark in ".,"}


@dataclass(frozen=True)
class Dialect:
    """delimiter: None for one column, " " for any white space. pattern: the `kinds` of a line's cells."""

    delimiter: str | None
    pattern: str


def decode(path: Path, data: bytes) -> tuple[str, str]:
    """(text, encoding) of a file. Raises RecordingError for what is no text."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\x00" in data:
        even, odd = data[0::2].count(0), data[1::2].count(0)
        encoding = "utf-16-le" if odd > 9 * even else "utf-16-be" if even > 9 * odd else ""
    for tried in (encoding, "latin-1") if encoding == "utf-8" else (encoding,):
        try:
            text = data.decode(tried) if tried else "\x00"
        except UnicodeDecodeError:
            continue
        if not re.search("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", text):
            return text, {"utf-8-sig": "UTF-8", "latin-1": "Latin-1"}.get(tried, tried.upper())
        break
    raise RecordingError(f"{path}: is not text that can be read: save it as columns of numbers, in UTF-8")


def split(line: str, delimiter: str | None) -> list[str]:
    """A line's cells, stripped, without quotes, and without the empty ones after the last delimiter."""
    if delimiter is None:
        return [_unquoted(line.strip())]
    if delimiter == " ":
        return [_unquoted(cell) for cell in line.split()]
    if '"' in line:
        import csv

        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    else:
        cells = [cell.strip() for cell in line.split(delimiter)]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _unquoted(cell: str) -> str:
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'" else cell


def kind(cell: str) -> str:
    """N a number, M a missing one, T a time stamp, D a date, S a label, X what is none of them."""
    if _NUMBER.fullmatch(cell):
        return "N"
    if cell.lower() in MISSING:
        return "M"
    if is_stamp(cell):
        return "T"
    if is_date(cell):
        return "D"
    return "S" if re.search(r"[^\W\d_]", cell) and not any(mark in cell for mark in _MARKS) else "X"


def kinds(cells: Sequence[str]) -> str:
    return "".join(map(kind, cells))


def of_numbers(width: int, delimiter: str | None) -> re.Pattern[str]:
    """A line of so many numbers, as nearly all lines are: known at once, where `kinds` looks at each cell."""
    between = {None: "", " ": r"[ \t]+"}.get(delimiter, f" *{re.escape(delimiter or '')} *")
    number = _NUMBER.pattern.replace("[.,]", r"\.") if delimiter == "," else _NUMBER.pattern
    blanks = " *" if delimiter == "\t" else r"[ \t]*"
    return re.compile(rf"{blanks}{number}(?:{between}{number}){{{width - 1}}}{blanks}", re.ASCII)


def fits(found: str, pattern: str) -> bool:
    """Whether a line of these kinds is a line of data: a missing value stands for a number."""
    if found == pattern:
        return True
    # A last cell that is missing was dropped with the delimiter after it.
    found += "M" * (len(pattern) - len(found)) if pattern[len(found) :].strip("NM") == "" and len(found) > 0 else ""
    return len(found) == len(pattern) and all(
        a == b or (b in "NM" and a in "NM") or (b == "S" and a == "M") for a, b in zip(found, pattern, strict=True)
    )


def is_comment(line: str, delimiter: str | None) -> bool:
    """Whether a line is a comment by its first mark: #, %, //, or ; where that divides no columns."""
    line = line.lstrip()
    return line.startswith(("#", "%", "//", "!")) or (line.startswith(";") and delimiter != ";")


def delimiter_of(
    path: Path, lines: Sequence[str], given: str | None, decimal: str | None, named: Callable[[int], bool]
) -> Dialect:
    """What divides the columns, by the evidence of many lines.

    decimal: the mark if it is known. named: whether a header of so many names, divided by commas, stands above.
    Raises DialectError where two ways are as good, RecordingError where there is none.
    """
    decimal = None if decimal is None else DECIMALS[decimal]
    sampled = [line for line in lines if line.strip()]
    if len(sampled) > _SAMPLED:
        third = _SAMPLED // 3
        sampled = sampled[:third] + sampled[third : -third : max(1, len(sampled) // third)] + sampled[-third:]
    found: dict[str | None, tuple[int, str]] = {}
    for mark in (DELIMITERS[given],) if given is not None else (*_MARKS, " ", None):
        patterns: Counter[str] = Counter()
        for line in sampled:
            if not is_comment(line, mark):
                pattern = kinds(split(line, mark)).replace("M", "N")
                if "N" in pattern and "X" not in pattern:
                    patterns[pattern] += 1
        if patterns:
            pattern, count = patterns.most_common(1)[0]
            found[mark] = count, pattern
    if not found:
        raise RecordingError(
            f"{path}: has no samples: none of its lines holds numbers"
            + ("" if given is None else f" with {given} between its columns")
        )
    most = max(count for count, _ in found.values())
    good = {mark: pattern for mark, (count, pattern) in found.items() if count >= 0.9 * most}
    if given is not None:
        return Dialect(DELIMITERS[given], next(iter(good.values())))
    mark = next((mark for mark in (*_MARKS, " ") if len(good.get(mark, "")) > 1), None)
    if mark == "," and " " in good and len(good[" "]) > 1:
        raise DialectError(f"{path}: its columns may be divided by commas or by blanks: name the delimiter")
    if mark == ",":
        return _comma(path, lines, good, decimal, named)
    if mark not in good:
        mark = next(iter(good))
    return Dialect(mark, good[mark])


def _comma(
    path: Path, lines: Sequence[str], good: dict[str | None, str], decimal: str | None, named: Callable[[int], bool]
) -> Dialect:
    """Whether commas stand between columns or within numbers."""
    columns = Dialect(",", good[","])
    if any('"' in line for line in lines[:_SAMPLED]) or set(columns.pattern) != {"N"}:
        return columns
    width = len(columns.pattern)
    whole_line = of_numbers(width, ",").fullmatch
    data = [
        line.strip().rstrip(",").strip()
        for line in lines
        if whole_line(line) or (kinds(split(line, ",")).strip("NM") == "" and line.strip())
    ]
    whole = re.compile(r"[-+]?\d+(?:\s*,\s*[-+]?\d+)+", re.ASCII)
    zeros = re.compile(r"(?:^|,)\s*(?:[-+]?0\d|-0(?:,|$))", re.ASCII)
    one = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eEdD][-+]?\d+)?", re.ASCII)
    english = re.compile(rf"{_THOUSANDS}(?:,\d{{3}})+(?:\.\d*)?", re.ASCII)
    is_one = width == 2 and all(map(one.fullmatch, data))
    is_english = all(map(english.fullmatch, data))
    header = named(width)
    if decimal == ",":
        if is_one:
            return Dialect(None, "N")
        raise DialectError(
            f"{path}: commas stand in its numbers and between its columns: save it with semicolons between them"
        )
    if is_one:
        # A fraction may begin with 0, a whole number does not; a number of samples counts, a decimal does not.
        fraction = any(zeros.search(line) for line in data) or any("e" in line.lower() for line in data)
        first = [line.partition(",")[0] for line in data]
        counts = (
            len(first) > 8
            and all(text.isdecimal() for text in first)
            and (len({int(b) - int(a) for a, b in pairwise(first)}) == 1 and first[0] != first[1])
        )
        dotted = all("." in line for line in data)
        if fraction and not header and not counts and not dotted and decimal is None:
            return Dialect(None, "N")
        if (header or counts or decimal == ".") and not fraction and not dotted:
            return columns
        if decimal == "." and not dotted:
            return columns
        raise DialectError(
            f"{path}: line {data[0][:30]!r} may be one number with a decimal comma, or two: name the decimal mark"
        )
    if is_english and (not header or any(zeros.search(line) for line in data)) and decimal is None:
        raise DialectError(
            f"{path}: line {data[0][:30]!r} may be one number with thousands marks, or {width}: name the delimiter"
        )
    if width > 2 and all(map(whole.fullmatch, data)) and any(zeros.search(line) for line in data):
        raise DialectError(
            f"{path}: commas may stand in its numbers and between its columns ({data[0][:40]!r}): save it "
            "with semicolons between them"
        )
    return columns


def decimal_of(path: Path, cells: Sequence[str], delimiter: str | None, given: str | None) -> str:
    """The decimal mark of the cells that are numbers. Raises DialectError if they could be read in two ways."""
    dotted = [cell for cell in cells if "." in cell]
    commas = [cell for cell in cells if "," in cell]
    mark = None if given is None else DECIMALS[given]
    if mark is None and dotted and commas:
        raise DialectError(
            f"{path}: has numbers with a point ({dotted[0]!r}) and with a comma ({commas[0]!r}): name the decimal mark"
        )
    if mark is None:
        mark, marked = (",", commas) if commas else (".", dotted)
        if marked and (delimiter != "," or commas) and all(map(_GROUPED[mark].fullmatch, marked)):
            raise DialectError(
                f"{path}: {marked[0]!r} may have a decimal mark or a thousands mark, like all its numbers: name "
                "the decimal mark"
            )
    return mark
