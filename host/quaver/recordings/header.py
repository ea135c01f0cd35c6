"""What the lines above a text's numbers state: the names of its columns, their units, and the sampling rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from quaver.recordings.contents import Rate
from quaver.recordings.dialect import is_comment, kinds, split
from quaver.recordings.units import G_PER_UNIT, time_named, unit_in, unit_named

_NEAR = 4  # lines above the numbers in which the names may stand
_NUMBER = r"(?P<number>\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)"
_HZ = {"khz": 1e3, "ks/s": 1e3, "ksps": 1e3, "mhz": 1e6}
_RATE = re.compile(
    r"(?:(?:sampl\w*|data|acq\w*|scan|output|abtast)[ _-]*(?:data[ _-]*)?(?:rate|freq\w*|frequenz)|"
    r"abtast(?:rate|frequenz)|"
    r"(?<![a-z])(?:fs|f_s|odr|sps)(?![a-z]))"
    rf"\s*(?:[\[(]\s*(?P<before>k?hz|s/s|sps)[^\])]*[\])])?\s*[:=,;\t ]?\s*"
    rf"{_NUMBER}\s*(?P<after>k?hz|mhz|k?s/s|k?sps)?(?![\w])",
    re.IGNORECASE,
)
_BITS = re.compile(
    r"\s*(?:[kM]?(?:baud|bd|bps|bits?|bytes?|B/s))(?![a-z])", re.IGNORECASE
)  # a line's rate, not samples'
_UNITS = re.compile(
    r"(?:(?P<said>(?<![a-z])(?:units?|einheit(?:en)?|unit[ée]s?|unidad(?:es)?|unità))|(?:acc|vib|beschl)[^:=,;\t(\[]*?)"
    r"\s*(?:[:=,;\t]|(?<=\s)in\s|(?=[(\[]))\s*(?P<units>.+)$",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(?<![a-z])(?:delta_?x|(?:sampl\w*|time)[ _-]*(?:interval|increment|period|step)|abtastintervall|dt)"
    rf"\s*(?:[\[(]\s*(?P<before>s|ms|us|µs|ns)\s*[\])])?\s*[:=,;\t ]?\s*"
    rf"{_NUMBER}\s*(?P<after>s|sec|ms|us|µs|ns)?(?![\w])",
    re.IGNORECASE,
)


@dataclass
class Header:
    """names, units: one a column; a unit may be None. title: what stands above without being names."""

    names: list[str]
    units: list[str | None]
    title: list[str] = field(default_factory=list)


def _bare(line: str, delimiter: str | None) -> str:
    if is_comment(line, delimiter):
        return line.strip().lstrip("#%/;!").strip()
    return line


def cells_above(lines: Sequence[str], delimiter: str | None) -> list[list[str]]:
    """The cells of the lines above the numbers, the nearest first."""
    return [split(_bare(line, delimiter), delimiter) for line in reversed(lines)]


def read_header(above: Sequence[str], delimiter: str | None, width: int, indexed: bool) -> Header:
    """The names and units of `width` columns, from the lines above the first of numbers.

    indexed: the first column is an index, for which some writers give no name.
    """
    header = Header([""] * width, [None] * width)
    near = [line for line in above if line.strip(" \t,;|")][-_NEAR:]
    units_seen = False
    used: set[int] = set()
    for at in range(len(near) - 1, -1, -1):
        cells = split(_bare(near[at], delimiter), delimiter)
        lead = len(near[at]) - len(near[at].lstrip(delimiter)) if delimiter not in (None, " ") else 0
        if len(cells) == width + 1 and cells[-1].lower() == "comment":
            cells.pop()
        if len(cells) == width - 1 and indexed and not lead:
            cells.insert(0, "")
        # The name of an empty last column is dropped with it.
        if len(cells) != width or ("N" in kinds([cell for cell in cells if cell]) and not _numbered(cells)):
            continue
        if is_comment(near[at], delimiter) and width == 1:
            continue
        given = [
            unit_named(cell.strip("[]() ")) or ("s" if time_named(cell.strip("[]() ")) else None) for cell in cells
        ]
        if (
            not units_seen
            and at > 0
            and any(given)
            and all(unit or not cell.strip("[]()- ") for unit, cell in zip(given, cells, strict=True))
        ):
            # A line of units, if there is one of names above it.
            higher = split(_bare(near[at - 1], delimiter), delimiter)
            telling = any(unit in ("s", "V", "mV", "µV") or (unit in G_PER_UNIT and unit != "lsb") for unit in given)
            said = is_comment(near[at], delimiter) == is_comment(near[at - 1], delimiter)
            if telling and said and len(higher) in (width, width - 1) and "N" not in kinds(higher):
                units_seen = True
                used.add(at)
                header.units = [cell.strip("[]() ") or None for cell in cells]
                continue
        header.names = cells
        used.add(at)
        break
    header.title = [_bare(line, delimiter) for at, line in enumerate(near) if at not in used]
    _labview_units(above, header)
    return header


def _numbered(cells: Sequence[str]) -> bool:
    """Whether names are the columns' numbers, as pandas writes them."""
    named = [cell for cell in cells if cell]
    return len(named) > 1 and named in (
        [str(at) for at in range(len(named))],
        [str(at + 1) for at in range(len(named))],
    )


def _labview_units(above: Sequence[str], header: Header) -> None:
    for line in above:
        cells = line.rstrip().split("\t")
        if cells[0] == "Y_Unit_Label" and len(cells) > 1:
            start = len(header.names) - len(cells[1:])
            for at, unit in enumerate(cells[1:]):
                if unit and 0 <= start + at < len(header.units):
                    header.units[start + at] = unit


def title_unit(title: Sequence[str]) -> str | None:
    """The unit in a title that names no columns, if it says one alone."""
    found = {unit for line in title if (unit := unit_in(line)) is not None and not unit.startswith("?")}
    return found.pop() if len(found) == 1 else None


def stated_units(above: Sequence[str], width: int) -> list[str | None]:
    """The unit of each of `width` columns by lines such as "unit: m/s²", which are no names; "?…" if it is not known.

    Units of several quantities for columns of another number say nothing.
    """
    found: set[str] = set()
    for line in above:
        match = _UNITS.search(line.strip(' #%/;!*\t"'))
        if match is None:
            continue
        parts = [part.strip(" []()\"'") for part in re.split(r"[,;\t|]", match["units"])]
        units = [unit_named(part) or ("s" if time_named(part) else f"?{part}") for part in parts]
        if not match["said"] and (width > 1 and len(re.split(r"[,;\t|]", line)) == width):
            continue  # the names
        if not match["said"] and any(unit.startswith("?") for unit in units):
            continue
        if len(units) == width > 1:
            return [None if unit == "s" else unit for unit in units]
        found |= {unit for unit in units if unit not in ("s", "?", "")}
    return [found.pop() if len(found) == 1 else None] * width


def stated_rates(above: Sequence[str]) -> list[Rate]:
    """Every sampling rate, or interval, that the lines above the numbers state."""
    rates: list[Rate] = []
    space = any(re.match(r"X_Dimension\t(?!Time)", line) for line in above)
    for line in above:
        for match in _RATE.finditer(line):
            if _BITS.match(line, match.end()):
                continue
            number = _plain_number(match["number"])
            unit = (match["before"] or match["after"] or "").lower()
            if number is None or (not unit and number < 50):
                continue
            rates.append(Rate(number * _HZ.get(unit, 1.0), "the header"))
        for match in () if space else _STEP.finditer(line):
            number = _plain_number(match["number"])
            unit = match["before"] or match["after"]
            if number:
                rates.append(Rate(1 / (number * (time_named(unit) or 1.0 if unit else 1.0)), "the header"))
    return rates


def _plain_number(text: str) -> float | None:
    """A number in prose; None if its mark may be one of thousands."""
    if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text) and not re.fullmatch(r"[1-9]\d{0,2}\.000", text):
        return None
    if re.fullmatch(r"[1-9]\d{0,2}\.000", text):
        return None
    return float(text.replace(",", "."))
