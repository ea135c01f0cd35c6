"""Draws one verdict: the spectrum and the envelope's spectrum that the device judged by, with what it found in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.analysis.spectra import check_place, save
from quaver.errors import QuaverError

if TYPE_CHECKING:
    from quaver.analysis.device import Spectra, Verdict

FORMATS = (".pdf", ".png", ".svg")
LINE_NAMES = {"bpfo": "BPFO", "bpfi": "BPFI", "bsf2": "2xBSF", "ftf": "FTF"}
COLOURS = {"bpfo": "tab:red", "bpfi": "tab:purple", "bsf2": "tab:orange", "ftf": "tab:green"}
HARMONICS = 3  # as many as the device searches
_CERTAIN = 0.5  # confidence from which a diagnosis relies on a speed, as firmware/dsp/diagnosis.py has it
_LABELLED = 5  # of the peaks: more would cover each other
_PEAK_LABEL_WIDTH = 0.04  # of the axis: a label nearer to a higher peak's is left out
_LABEL_WIDTH = 0.062  # of the axis; a label nearer to another goes into the next row
_ROW_POINTS = 31
LEVEL_COLOURS = {"ok": "tab:green", "warning": "tab:orange", "alarm": "tab:red"}


def check_picture(path: Path) -> None:
    """Try whether a picture can be saved there, before the work that it is to show. Raises QuaverError."""
    if path.suffix.lower() not in FORMATS:
        raise QuaverError(f"{path}: can't save the picture: expected a name that ends in {', '.join(FORMATS)}")
    if path.is_dir():
        raise QuaverError(f"{path}: can't save the picture: it is a folder; name a file")
    check_place(path)


def draw_verdict(path: Path, name: str, verdict: Verdict, spectra: Spectra) -> Path:
    """Save a picture of one measurement of the recording `name`; returns the path. Raises QuaverError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not pyplot: it would look for a display and keep every figure alive.
    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{name}, measurement {verdict.index + 1}: {conclusion(verdict)}",
        color=LEVEL_COLOURS.get(verdict.level, "black"),
        fontsize=12,
        wrap=True,
    )
    above, below = figure.subplots(2, 1)
    _draw_spectrum(above, verdict, spectra)
    _draw_envelope(below, verdict, spectra)
    for axis in (above, below):
        axis.grid(alpha=0.3)
        axis.margins(x=0)
        # room for the labels
        axis.set_ylim(0, max(axis.get_ylim()[1] * (1.1 if axis is above else 1.4), 1e-3))
        axis.set_ylabel("amplitude (mg)")
    return save(figure, path)


def conclusion(verdict: Verdict) -> str:
    """The verdict in one line, e.g. "alarm, outer race, 12 dB before the next line; 1797 1/min"."""
    words = verdict.level if verdict.state == "watching" else f"{verdict.state}, {verdict.level}"
    if verdict.fault:
        words += f", {verdict.fault}, {verdict.margin_db:.0f} dB before the next line"
    elif verdict.causes:
        words += f" ({', '.join(sorted(verdict.causes))})"
        if verdict.abstained:
            words += f", no fault named: {verdict.abstained}"
    if verdict.zone:
        words += f"; zone {verdict.zone}"
    shaft_hz, confidence = verdict.features["shaft_hz"], verdict.features["shaft_confidence"]
    if not shaft_hz:
        return f"{words}; no speed"
    return f"{words}; {shaft_hz * 60:.0f} 1/min" + (", not certain" if confidence < _CERTAIN else "")


def _draw_spectrum(axis: Any, verdict: Verdict, spectra: Spectra) -> None:
    frequencies = [k * spectra.spectrum_hz / 1000 for k in range(len(spectra.spectrum_g))]
    axis.plot(frequencies, spectra.spectrum_g * 1000, color="tab:blue", linewidth=0.8)
    axis.set_title(
        f"acceleration, RMS {verdict.features['rms_g']:.3f} g, peak {verdict.features['peak_g']:.2f} g: "
        f"the first {min(verdict.features['samples'], 2 * len(spectra.spectrum_g)):,} samples",
        fontsize=10,
        loc="left",
    )
    axis.set_xlabel("frequency (kHz)")
    flat: Sequence[float] = verdict.features["peaks"]
    peaks = sorted(zip(flat[::2], flat[1::2], strict=True), key=lambda peak: -peak[1])
    axis.plot([hz / 1000 for hz, _ in peaks], [1000 * g for _, g in peaks], "v", color="tab:red", markersize=5)
    labelled: list[float] = []
    for hz, g in peaks:
        if len(labelled) < _LABELLED and all(
            abs(hz - other) > _PEAK_LABEL_WIDTH * frequencies[-1] * 1000 for other in labelled
        ):
            labelled.append(hz)
            _label(axis, f"{hz:.1f} Hz", hz / 1000, 1000 * g)


def _draw_envelope(axis: Any, verdict: Verdict, spectra: Spectra) -> None:
    last = spectra.envelope_hz * len(spectra.envelope_g)
    amplitudes = spectra.envelope_g * 1000
    axis.plot([k * spectra.envelope_hz for k in range(len(amplitudes))], amplitudes, color="tab:blue", linewidth=0.8)
    axis.set_xlabel("frequency (Hz)")
    said = "the bearing's lines" if verdict.lines else "no bearing, or no speed to look for its lines at"
    axis.set_title(f"envelope, RMS {verdict.features['envelope_g']:.3f} g: {said}", fontsize=10, loc="left")
    marks = [
        (line, harmonic, harmonic * line["hz"])
        for line in sorted(verdict.lines, key=lambda line: -line["score"])
        for harmonic in range(1, HARMONICS + 1)
        if 0 < harmonic * line["hz"] < last
    ]
    for line, harmonic, hz in reversed(marks):  # what was found comes last, over the rest
        found = line["score"] > 0
        axis.axvline(
            hz,
            color=COLOURS[line["name"]] if found else "0.6",
            linestyle=":" if not found else "-" if harmonic == 1 else "--",
            linewidth=1.4 if found and harmonic == 1 else 0.9,
            alpha=0.7,
        )
    rows: list[list[float]] = []
    for line, harmonic, hz in marks:
        found = line["score"] > 0
        if not found and harmonic > 1:
            continue
        times = f"{harmonic} x " if harmonic > 1 else ""
        height = f"\n{_decibels(line['heights'][harmonic - 1])}" if found else ""
        axis.annotate(
            f"{times}{LINE_NAMES[line['name']]}\n{hz:.1f} Hz{height}",
            (hz, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3 - _ROW_POINTS * label_row(rows, hz, _LABEL_WIDTH * last)),
            textcoords="offset points",
            va="top",
            fontsize=7.5,
            color=COLOURS[line["name"]] if found else "0.4",
            fontweight="bold" if found and harmonic == 1 else "normal",
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
        )


def label_row(rows: list[list[float]], place: float, width: float) -> int:
    """The first row in which a label at `place` covers none that is there; it is put there."""
    for number, taken in enumerate(rows):
        if all(abs(place - other) >= width for other in taken):
            taken.append(place)
            return number
    rows.append([place])
    return len(rows) - 1


def _decibels(height: float) -> str:
    """A line's height over its background."""
    return f"{20 * math.log10(height):+.0f} dB" if height > 0 else "-"


def _label(axis: Any, text: str, x: float, y: float) -> None:
    axis.annotate(text, (x, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
