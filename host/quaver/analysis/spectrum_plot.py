"""Draws a spectrum record: the levels of a node's spectrum and of its envelope's, with the bearing's lines marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quaver.analysis.spectra import save
from quaver.analysis.verdict_plot import COLOURS, HARMONICS, LEVEL_COLOURS, LINE_NAMES, label_row
from quaver_wire.spectrum import REFERENCE_G, STEP_DB, amplitude_g, envelope_edges, spectrum_edges

_LABEL_WIDTH = 0.062  # of the axis; a label nearer to another goes into the next row
_ROW_POINTS = 22
_HEADROOM = 1.35  # above the highest level, for the labels


def draw_spectrum_record(
    path: Path,
    title: str,
    spectrum: bytes,
    envelope: bytes,
    *,
    spectrum_hz: float,
    envelope_hz: float,
    marks_hz: Sequence[float | None] = (),
    band_hz: tuple[float, float] | None = None,
    level: str = "ok",
) -> Path:
    """Save a picture of 256 levels each, in the bins of quaver_wire.spectrum up to spectrum_hz and envelope_hz.

    marks_hz: of the shaft, BPFO, BPFI, 2 x BSF and FTF, None for one that is not known. Returns the path; raises
    QuaverError when it can't be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not pyplot: it would look for a display and keep every figure alive.
    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, color=LEVEL_COLOURS.get(level, "black"), fontsize=12, wrap=True)
    above, below = figure.subplots(2, 1)
    shaft_hz, *lines_hz = (*marks_hz, *[None] * 5)[:5]
    edges = spectrum_edges(spectrum_hz)
    _steps(above, spectrum, edges)
    above.set_xscale("log")
    above.set_yscale("log")
    low = max(min(filter(None, spectrum), default=1), 1)
    above.set_ylim(_milli_g(low) / 1.5, _milli_g(max(*spectrum, low + 1)) * 10 ** (24 * STEP_DB / 20))
    above.set_title("acceleration: the highest line in each bin of 3.3 %", fontsize=10, loc="left")
    above.xaxis.set_major_formatter("{x:g}")
    if shaft_hz:
        marks = [(f"{times} x shaft" if times > 1 else "shaft", times * shaft_hz) for times in range(1, HARMONICS + 1)]
        _mark(above, marks, "tab:gray", width_of=lambda hz: 2 * hz * _LABEL_WIDTH * 4)
    _steps(below, envelope, envelope_edges(envelope_hz))
    of = f" of {band_hz[0] / 1000:.1f} to {band_hz[1] / 1000:.1f} kHz" if band_hz else ""
    known = "the bearing's lines" if any(lines_hz) else "no bearing, or no speed to look for its lines at"
    below.set_title(f"envelope{of}: {known}", fontsize=10, loc="left")
    below.set_ylim(0, max(_milli_g(max(envelope)) * _HEADROOM, _milli_g(1)))
    rows: list[list[float]] = []
    for (name, words), hz in zip(LINE_NAMES.items(), lines_hz, strict=True):
        places = [times * hz for times in range(1, HARMONICS + 1) if times * hz < envelope_hz] if hz else []
        marks = [(f"{times} x {words}" if times > 1 else words, place) for times, place in enumerate(places, 1)]
        _mark(below, marks, COLOURS[name], width_of=lambda _: _LABEL_WIDTH * envelope_hz, rows=rows)
    for axis in (above, below):
        axis.grid(alpha=0.3)
        axis.set_ylabel("amplitude (mg)")
        axis.set_xlabel("frequency (Hz)")
    above.set_xlim(edges[0], edges[-1])
    below.set_xlim(0, envelope_hz)
    return save(figure, path)


def _milli_g(level: int) -> float:
    return 1000 * (amplitude_g(level) or REFERENCE_G)


def _steps(axis: Any, levels: bytes, edges: Sequence[float]) -> None:
    axis.stairs([_milli_g(level) for level in levels], edges, baseline=None, color="tab:blue", linewidth=0.9)


def _mark(
    axis: Any, marks: Sequence[tuple[str, float]], colour: str, width_of: Any, rows: list[list[float]] | None = None
) -> None:
    """A vertical line at each (words, Hz), with its label in a row where it covers no other."""
    rows = [] if rows is None else rows
    for number, (words, hz) in enumerate(marks):
        axis.axvline(hz, color=colour, linestyle="--" if number else "-", linewidth=0.9, alpha=0.6)
        axis.annotate(
            f"{words}\n{hz:.1f} Hz",
            (hz, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3 - _ROW_POINTS * label_row(rows, hz, width_of(hz))),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color=colour,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
        )
