"""The provisioning room's labels: a QR code with a node's id and code, and both for people to read, as PDF or PNG.

A sheet is A4 with 3 by 8 labels of 63.5 x 33.9 mm, a size that label makers share (L7159).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from quaver.provision.identity import label_text, shown

_WIDTH, _HEIGHT = 63.5, 33.9  # mm
_COLUMNS, _ROWS = 3, 8
_LEFT, _TOP = 7.2, 12.9
_PITCH = 66.0  # mm from one column to the next
_EDGE = 3.0
_QR = _HEIGHT - 2 * _EDGE
_DPI = 300


@dataclass(frozen=True)
class Label:
    """What stands on one. name: "" where the node has none yet. The code stays out of every repr."""

    node_id: bytes
    code: str = field(repr=False)
    name: str = ""

    @property
    def id_lines(self) -> tuple[str, str]:
        text = self.node_id.hex()
        return f"{text[:4]} {text[4:8]}", f"{text[8:12]} {text[12:]}"

    @property
    def code_lines(self) -> tuple[str, str]:
        text = shown(self.code)
        return text[:9], text[10:]


def _modules(label: Label) -> list[list[bool]]:
    """The QR code's modules, row by row, with its quiet zone. Error correction M: a scratched label still reads."""
    import segno

    code = segno.make_qr(label_text(label.node_id, label.code), error="m")
    return [[bool(module) for module in row] for row in code.matrix_iter(border=2)]


def _texts(label: Label) -> list[tuple[str, float, float, bool]]:
    """(text, baseline below the label's top in mm, size in points, in a fixed pitch)."""
    first, second = label.id_lines
    code = label.code_lines
    return [
        (label.name or "Quaver node", 6.6, 9.0, False),
        ("id", 10.4, 5.5, False),
        (first, 13.6, 8.0, True),
        (second, 16.8, 8.0, True),
        ("code", 21.0, 5.5, False),
        (code[0], 25.2, 10.0, True),
        (code[1], 29.2, 10.0, True),
    ]


def sheet(labels: Sequence[Label]) -> bytes:
    """A PDF of as many pages as the labels take."""
    from fpdf import FPDF

    pdf: Any = FPDF(unit="mm", format="A4")
    pdf.set_auto_page_break(False)
    pdf.set_title("Quaver labels")
    for place, label in enumerate(labels):
        at = place % (_COLUMNS * _ROWS)
        if at == 0:
            pdf.add_page()
        _draw(pdf, label, _LEFT + _PITCH * (at % _COLUMNS), _TOP + _HEIGHT * (at // _COLUMNS))
    return bytes(pdf.output())


def _draw(pdf: Any, label: Label, left: float, top: float) -> None:
    modules = _modules(label)
    side = _QR / len(modules)
    pdf.set_fill_color(0, 0, 0)
    for y, row in enumerate(modules):
        x = 0
        while x < len(row):
            run = x
            while run < len(row) and row[run]:
                run += 1
            if run > x:  # one bar for neighbours: no hairline between them
                pdf.rect(left + _EDGE + x * side, top + _EDGE + y * side, (run - x) * side, side, style="F")
            x = max(run, x + 1)
    for text, baseline, size, fixed in _texts(label):
        pdf.set_font("Courier" if fixed else "Helvetica", "B" if size > 8 else "", size)
        shorter = _fitting(text, lambda part: float(pdf.get_string_width(part)), _WIDTH - 3 * _EDGE - _QR)
        pdf.text(left + 2 * _EDGE + _QR - 1, top + baseline, shorter.encode("latin-1", "replace").decode("latin-1"))


def _fitting(text: str, width: Any, most: float) -> str:
    while len(text) > 1 and width(text) > most:
        text = text[:-1]
    return text


def picture(label: Label) -> bytes:
    """A PNG of one label at 300 dots an inch."""
    from PIL import Image, ImageDraw, ImageFont

    scale = _DPI / 25.4
    image = Image.new("L", (round(_WIDTH * scale), round(_HEIGHT * scale)), 255)
    draw = ImageDraw.Draw(image)
    modules = _modules(label)
    side = int(_QR * scale / len(modules))
    edge = round((_HEIGHT * scale - side * len(modules)) / 2)
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            if dark:
                left, top = edge + x * side, edge + y * side
                draw.rectangle((left, top, left + side - 1, top + side - 1), fill=0)
    left = edge + side * len(modules) + round(scale * 2)
    for text, baseline, size, fixed in _texts(label):
        font = _font(ImageFont, fixed, size * _DPI / 72)
        shorter = _fitting(text, font.getlength, image.width - left - edge / 2)
        draw.text((left, baseline * scale), shorter, font=font, fill=0, anchor="ls")
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(_DPI, _DPI))
    return out.getvalue()


def _font(image_font: Any, fixed: bool, size: float) -> Any:
    """The fonts that matplotlib carries: the same picture on every machine."""
    from matplotlib import font_manager

    family = "DejaVu Sans Mono" if fixed else "DejaVu Sans"
    return image_font.truetype(font_manager.findfont(font_manager.FontProperties(family=family)), size)
