"""A report as a PDF: its figures with the records behind each, charts, tables, what is to be known, and definitions."""

from __future__ import annotations

import io
from typing import Any

from quaver.reports.model import Behind, Column, Figure, Report, Table
from quaver.reports.plots import picture
from quaver.reports.words import Words

_LEFT, _WIDTH, _TOP, _BOTTOM = 12.0, 186.0, 14.0, 16.0  # mm, of A4
_INK, _SOFT, _PALE, _LINE = (24, 28, 36), (98, 106, 118), (244, 246, 249), (214, 219, 226)
_ACCENT = (0, 86, 140)
_CARD_HEIGHT = 23.0
_TEXT = "DejaVu"
_SHOWN = 60  # rows of a table; the CSV file has all


def pdf(report: Report, language: str, plant: str = "", made_ms: int | None = None) -> bytes:
    """The file's bytes. plant: what the head calls it. made_ms: stands in the head, where it is given."""
    words = Words(language, report.zone)
    sheet = _sheet(report, words, plant)
    _head(sheet, report, words, plant, made_ms)
    subjects = list(dict.fromkeys(one.subject for one in report.figures))
    for subject in subjects:
        own = [one for one in report.figures if one.subject == subject]
        _need(sheet, 12 + _CARD_HEIGHT)
        _subject(sheet, subject)
        _cards(sheet, own, words)
        for chart in (one for one in report.charts if one.subject in (subject, "") and subject):
            image = picture(chart, words)
            height = _WIDTH * (1.0 if chart.lines[0].kind == "states" else 2.5) / 7.3
            _need(sheet, height + 12)
            _title(sheet, words.text(chart.key))
            sheet.image(io.BytesIO(image), _LEFT, sheet.get_y(), _WIDTH, height)
            sheet.set_y(sheet.get_y() + height + 2)
    for table in report.tables:
        _table(sheet, table, words)
    for key, notes in (("notes", report.notes), ("definitions", report.definitions)):
        if notes:
            _title(sheet, words.text(key))
            for one in notes:
                _paragraph(sheet, words.note(one))
    return bytes(sheet.output())


def _sheet(report: Report, words: Words, plant: str) -> Any:
    from fpdf import FPDF
    from matplotlib import font_manager

    title = " - ".join(part for part in (plant, words.text(report.kind)) if part)

    class Sheet(FPDF):  # type: ignore[misc,unused-ignore]
        def footer(self) -> None:
            self.set_y(-11)
            self.set_font(_TEXT, "", 7)
            self.set_text_color(*_SOFT)
            self.cell(_WIDTH / 2, 5, title, align="L")
            self.cell(_WIDTH / 2, 5, words.text("page", page=self.page_no(), pages="{nb}"), align="R")

    sheet: Any = Sheet(unit="mm", format="A4")
    for style, weight in (("", "normal"), ("B", "bold")):
        # The fonts that matplotlib carries: every name can be shown, and the same on every machine.
        found = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
        sheet.add_font(_TEXT, style, found)
    sheet.set_margins(_LEFT, _TOP, _LEFT)
    sheet.set_auto_page_break(True, _BOTTOM)
    sheet.set_title(title)
    sheet.set_lang(words.language)
    sheet.add_page()
    return sheet


def _head(sheet: Any, report: Report, words: Words, plant: str, made_ms: int | None) -> None:
    sheet.set_fill_color(*_ACCENT)
    sheet.rect(_LEFT, _TOP, 2.0, 17.0, style="F")
    sheet.set_xy(_LEFT + 5, _TOP - 1)
    sheet.set_text_color(*_INK)
    sheet.set_font(_TEXT, "B", 18)
    about = ", ".join(words.text(value) for value in report.about.values())
    title, size = words.text(report.kind) + (f": {about}" if about else ""), 18.0
    while size > 10 and sheet.get_string_width(title) > _WIDTH - 7:
        size -= 0.5
        sheet.set_font(_TEXT, "B", size)
    sheet.cell(_WIDTH - 5, 10, title, new_x="LMARGIN", new_y="NEXT")
    sheet.set_x(_LEFT + 5)
    sheet.set_font(_TEXT, "", 8)
    sheet.set_text_color(*_SOFT)
    period = f"{words.time(report.since_ms)} {words.text('until')} {words.time(report.until_ms)}"
    parts = [plant, period, words.text("zone", zone=report.zone)]
    parts += [words.text("made", time=words.time(made_ms))] if made_ms is not None else []
    sheet.multi_cell(_WIDTH - 5, 4.6, "   ·   ".join(filter(None, parts)), align="L")
    sheet.set_y(max(sheet.get_y(), _TOP + 18) + 3)


def _need(sheet: Any, height: float) -> None:
    if sheet.get_y() + height > sheet.h - _BOTTOM:
        sheet.add_page()


def _subject(sheet: Any, subject: str) -> None:
    if not subject:
        return
    path, _, name = subject.rpartition("/")
    sheet.set_font(_TEXT, "B", 12)
    sheet.set_text_color(*_INK)
    sheet.cell(sheet.get_string_width(name) + 3, 7, name)
    sheet.set_font(_TEXT, "", 8)
    sheet.set_text_color(*_SOFT)
    sheet.cell(0, 7.6, path.replace("/", " / "), new_x="LMARGIN", new_y="NEXT")
    sheet.ln(1)


def _title(sheet: Any, text: str) -> None:
    _need(sheet, 20)
    sheet.ln(2.5)
    sheet.set_font(_TEXT, "B", 10)
    sheet.set_text_color(*_INK)
    sheet.cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")


def _cards(sheet: Any, figures: list[Figure], words: Words) -> None:
    gap = 3.0
    cards = 4 if len(figures) % 4 == 0 else 3  # in a row
    width = (_WIDTH - gap * (cards - 1)) / cards
    for at in range(0, len(figures), cards):
        _need(sheet, _CARD_HEIGHT + gap)
        top = sheet.get_y()
        for place, one in enumerate(figures[at : at + cards]):
            left = _LEFT + place * (width + gap)
            sheet.set_fill_color(*_PALE)
            sheet.rect(left, top, width, _CARD_HEIGHT, style="F", round_corners=True, corner_radius=1.5)
            sheet.set_font(_TEXT, "", 7.5)
            sheet.set_text_color(*_SOFT)
            sheet.set_xy(left + 3, top + 2)
            sheet.cell(width - 6, 4, _short(sheet, words.text(one.key), width - 6))
            known = one.value is not None or (one.low is not None and one.why is None)
            text = words.figure(one)
            size = 14.0 if known else 7.5
            sheet.set_text_color(*(_INK if known else _SOFT))
            sheet.set_font(_TEXT, "B" if known else "", size)
            while known and size > 8 and sheet.get_string_width(text) > width - 6:
                size -= 0.5
                sheet.set_font(_TEXT, "B", size)
            sheet.set_xy(left + 3, top + 7)
            if known:
                sheet.cell(width - 6, 7, text)
            else:
                sheet.multi_cell(width - 6, 3.6, text, align="L", max_line_height=3.6)
            if one.behind:
                sheet.set_font(_TEXT, "", 6)
                sheet.set_text_color(*_SOFT)
                sheet.set_xy(left + 3, top + _CARD_HEIGHT - 5.5)
                sheet.cell(width - 6, 4, _short(sheet, f"{words.text('records')}: {_behind(one.behind)}", width - 6))
        sheet.set_y(top + _CARD_HEIGHT + gap)


def _short(sheet: Any, text: str, width: float) -> str:
    if sheet.get_string_width(text) <= width:
        return text
    while text and sheet.get_string_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _behind(behind: tuple[Behind, ...]) -> str:
    """Boot/seq of the first and the last record, and how many."""
    return "; ".join(
        "{}/{} … {}/{} ({})".format(*one.first, *one.last, one.records) for one in behind[:2]
    ) + (" …" if len(behind) > 2 else "")  # fmt: skip


def _table(sheet: Any, table: Table, words: Words) -> None:
    from fpdf.fonts import FontFace

    _title(sheet, words.text(table.key))
    sheet.set_font(_TEXT, "", 7)
    sheet.set_draw_color(*_LINE)
    sheet.set_text_color(*_INK)
    heads = [_heading(column, words) for column in table.columns] + [words.text("records")]
    rows = [[*words.cells(row, table), _behind(row.behind)] for row in table.rows[:_SHOWN]]
    weights = [
        max(sheet.get_string_width(text) for text in [max(heads[at].split(), key=len), *(row[at] for row in rows)]) + 5
        for at in range(len(heads))
    ]
    wanted = [min(max(weight, 11.0), 62.0) for weight in weights]
    aligned = (*tuple("LEFT" if column.kind in ("text", "time") else "RIGHT" for column in table.columns), "LEFT")
    head = FontFace(emphasis="BOLD", color=_INK, fill_color=_PALE)
    scale = _WIDTH / sum(wanted)
    with sheet.table(
        rows=[heads, *rows], col_widths=tuple(one * scale for one in wanted), width=_WIDTH, text_align=aligned,
        headings_style=head, borders_layout="HORIZONTAL_LINES", line_height=4.2, padding=(0.6, 1.2),
    ):  # fmt: skip
        pass
    if len(table.rows) > _SHOWN:
        _paragraph(sheet, words.text("more_rows", shown=_SHOWN, all=len(table.rows)))


def _heading(column: Column, words: Words) -> str:
    unit = words.unit(column.unit) if column.kind != "seconds" else ""
    return f"{words.text(column.key)} ({unit})" if unit else words.text(column.key)


def _paragraph(sheet: Any, text: str) -> None:
    _need(sheet, 9)
    sheet.set_font(_TEXT, "", 7.5)
    sheet.set_text_color(*_INK)
    sheet.set_x(_LEFT)
    sheet.cell(3, 4, "·")
    sheet.multi_cell(_WIDTH - 3, 4, text, align="L", new_x="LMARGIN", new_y="NEXT")
    sheet.ln(0.6)
