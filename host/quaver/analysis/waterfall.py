"""Draws spectrum records one above the other, time over frequency: what came, grew, went, or followed the speed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quaver.analysis.spectra import save
from quaver.analysis.verdict_plot import COLOURS, HARMONICS, LEVEL_COLOURS, LINE_NAMES, label_row
from quaver.errors import QuaverError
from quaver_wire.spectrum import BINS, REFERENCE_G, STEP_DB, envelope_edges, spectrum_edges

_MOST = 600  # rows: as many as the picture has points for
_GAP = 3.0  # times the usual time from one to the next: what is longer stays blank
_FLOOR = 40.0  # of a hundred levels so many are noise, and as dark as can be
_SHAFT_COLOUR = "white"
_LABEL_POINTS = 11  # a row of labels
_PAD = 6  # points between labels and title
_DAY_S = 86400  # in which matplotlib counts dates, from 1970 on


class Record(Protocol):
    """A spectrum record; store.spectra.Spectrum and device.Levels are some."""

    @property
    def spectrum(self) -> bytes: ...
    @property
    def envelope(self) -> bytes: ...
    @property
    def spectrum_hz(self) -> float: ...
    @property
    def envelope_hz(self) -> float: ...
    @property
    def band_hz(self) -> tuple[float, float] | None: ...
    @property
    def marks_hz(self) -> tuple[float | None, ...]: ...


@dataclass(frozen=True)
class Row:
    """A record with its time, most often in seconds, and its level, 0 ok, 1 warning, 2 alarm."""

    seconds: float
    level: int
    record: Record


def draw_waterfall(path: Path, title: str, rows: Iterable[Row], words: str = "") -> Path:
    """Save a picture of two rows or more. words: of the time's axis, "time (s)"; "": seconds are since 1970.

    An envelope that was taken in another band than most are is left out. Returns the path; raises QuaverError.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    given = sorted(rows, key=lambda row: row.seconds)
    if len(given) < 2:
        raise QuaverError(f"{path}: a waterfall needs two spectra at least, and there is {len(given)}")
    seconds = np.array([row.seconds for row in given])
    top = max(row.record.spectrum_hz for row in given)
    end = max(row.record.envelope_hz for row in given)
    band = Counter(row.record.band_hz for row in given).most_common(1)[0][0]
    # A machine's records have one rate, most often.
    of_spectrum, of_envelope = functools.cache(spectrum_edges), functools.cache(envelope_edges)
    spectrum = _milli_g(given, lambda record: record.spectrum, lambda record: of_spectrum(record.spectrum_hz), top)
    envelope = _milli_g(given, lambda record: record.envelope, lambda record: of_envelope(record.envelope_hz), end)
    elsewhere = np.array([row.record.band_hz != band for row in given])
    envelope[elsewhere] = np.nan
    marks = np.array([_marks(row.record) for row in given])
    levels = np.array([row.level for row in given])
    if len(given) > _MOST:
        slots = np.array_split(np.arange(len(given)), _MOST)
        # the highest of each slot: a line that came once is seen
        spectrum, envelope, levels = (
            np.array([np.fmax.reduce(values[slot]) for slot in slots]) for values in (spectrum, envelope, levels)
        )
        seconds, marks = (np.array([values[slot[-1]] for slot in slots]) for values in (seconds, marks))
    times = seconds if words else seconds / _DAY_S
    # Not pyplot: it would look for a display and keep every figure alive.
    figure = Figure(figsize=(13, 8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, wrap=True)
    strip, left, right = figure.subplots(1, 3, sharey=True, width_ratios=(0.025, 1, 1))
    _draw(figure, left, times, spectrum, spectrum_edges(top))
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:g}")
    _draw(figure, right, times, envelope, envelope_edges(end))
    of = f" of {band[0] / 1000:.1f} to {band[1] / 1000:.1f} kHz" if band else ""
    less = f"; {elsewhere.sum()} of other bands left out" if elsewhere.any() else ""
    taken: list[list[float]] = []
    shaft = [("shaft" if n == 1 else f"{n}x", n * marks[:, 0]) for n in range(1, HARMONICS + 1)]
    _trace(left, times, shaft, _SHAFT_COLOUR, taken, (spectrum_edges(top)[0], top))
    title = "acceleration: the highest line in each bin of 3.3 %"
    left.set_title(title, fontsize=10, loc="left", pad=_PAD + _LABEL_POINTS * len(taken))
    taken = []
    for column, (name, line) in enumerate(LINE_NAMES.items(), 1):
        places = _by_speed(marks[:, column], marks[:, 0])
        lines = [(_times(n, line), n * places) for n in range(1, HARMONICS + 1)]
        _trace(right, times, lines, COLOURS[name], taken, (0.0, end))
    title = f"envelope{of}{less}"
    right.set_title(title, fontsize=10, loc="left", pad=_PAD + _LABEL_POINTS * len(taken))
    _levels(strip, times, levels)
    strip.set_ylabel(words or "time (UTC)")
    if not words:
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        strip.yaxis.set_major_locator(locator)
        strip.yaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    for axis in (left, right):
        axis.set_xlabel("frequency (Hz)")
        axis.tick_params(labelleft=False)
    left.set_xlim(spectrum_edges(top)[0], top)
    right.set_xlim(0, end)
    strip.set_ylim(_bands(times)[0][0], _bands(times)[-1][1])
    return save(figure, path)


def _marks(record: Record) -> list[float]:
    """The shaft's speed and four lines, NaN where one is not known."""
    return [mark if mark else float("nan") for mark in (*record.marks_hz, *[None] * 5)[:5]]


def _by_speed(places: NDArray[np.float64], shaft: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a line stands by the shaft's speed: where nothing is, the highest noise near it was taken for it."""
    ratios = places / shaft
    return places if not np.isfinite(ratios).any() else shaft * np.nanmedian(ratios)


def _times(harmonic: int, line: str) -> str:
    """E.g. "3xBPFO"; of twice the ball's turns "6xBSF"."""
    first, _, name = line.rpartition("x")
    number = harmonic * int(first or 1)
    return f"{number}x{name}" if number > 1 else name


def _milli_g(
    rows: Sequence[Row], levels: Callable[[Record], bytes], edges: Callable[[Record], list[float]], top: float
) -> NDArray[np.float64]:
    """The amplitudes of each row, in the bins of the row that reaches to `top`: rates differ a little."""
    best = next(row for row in rows if edges(row.record)[-1] == top)
    wanted = np.array(edges(best.record))
    centres = (wanted[1:] + wanted[:-1]) / 2
    found = np.empty((len(rows), BINS))
    for i, row in enumerate(rows):
        own = np.searchsorted(edges(row.record), centres) - 1
        values = np.frombuffer(levels(row.record), np.uint8).astype(float)
        found[i] = np.where(own < BINS, values[np.minimum(own, BINS - 1)], 0)
    return 1000 * REFERENCE_G * 10 ** (found * STEP_DB / 20)


def _bands(seconds: NDArray[np.float64]) -> list[tuple[float, float]]:
    """From when to when each row is drawn: to half way to its neighbours, but not across a gap."""
    steps = np.diff(seconds)
    usual = float(np.median(steps)) or float(steps.max()) or 1.0
    reach = [usual / 2, *(step / 2 if step <= _GAP * usual else usual / 2 for step in steps), usual / 2]
    return [(float(t) - before, float(t) + after) for t, (before, after) in zip(seconds, pairwise(reach), strict=True)]


def _draw(
    figure: Any, axis: Any, seconds: NDArray[np.float64], heights: NDArray[np.float64], edges: Sequence[float]
) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    low = float(np.nanpercentile(heights, _FLOOR)) if np.isfinite(heights).any() else 1.0
    high = max(float(np.nanmax(heights)) if np.isfinite(heights).any() else 1.0, 2 * low)
    norm = LogNorm(low, high, clip=True)
    axis.set_facecolor("0.85")
    times: list[float] = []
    rows: list[NDArray[np.float64]] = []
    blank = np.full(heights.shape[1], np.nan)
    for (start, end), height in zip(_bands(seconds), heights, strict=True):
        if times and start > times[-1] * (1 + 1e-12):
            rows.append(blank)
            times.append(start)
        elif not times:
            times.append(start)
        rows.append(height)
        times.append(end)
    mesh = axis.pcolormesh(edges, times, np.array(rows), norm=norm, cmap="magma", rasterized=True)
    ticks = LogLocator(subs=(1, 2, 5))
    bar = figure.colorbar(mesh, ax=axis, location="bottom", label="amplitude (mg)", aspect=50, pad=0.01, ticks=ticks)
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.minorticks_off()


def _trace(
    axis: Any,
    seconds: NDArray[np.float64],
    lines: Sequence[tuple[str, NDArray[np.float64]]],
    colour: str,
    rows: list[list[float]],
    limits: tuple[float, float],
) -> None:
    """Each line where it stood at each time, and its name above where it stood most of the time."""
    low, top = limits
    starts, ends = np.array(_bands(seconds)).T
    for words, places in lines:
        inside = np.isfinite(places) & (places >= low) & (places <= top)
        if not inside.any():
            continue
        axis.vlines(places[inside], starts[inside], ends[inside], color=colour, linewidth=0.8, alpha=0.5)
        place = float(np.median(places[inside]))
        width = 0.35 * place if axis.get_xscale() == "log" else 0.09 * top
        axis.annotate(
            words,
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + _LABEL_POINTS * label_row(rows, place, width)),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="0.3" if colour == _SHAFT_COLOUR else colour,
        )


def _levels(axis: Any, seconds: NDArray[np.float64], levels: NDArray[np.int64]) -> None:
    """A strip at the side: green where all was well, orange at a warning, red at an alarm."""
    from matplotlib.collections import PolyCollection

    colours = tuple(LEVEL_COLOURS.values())
    corners = [[(0, start), (1, start), (1, end), (0, end)] for start, end in _bands(seconds)]
    faces = [colours[min(level, len(colours) - 1)] for level in levels]
    axis.add_collection(PolyCollection(corners, facecolors=faces, linewidths=0))
    axis.set_xticks([])
    axis.set_xlim(0, 1)
    axis.set_xlabel("level")
