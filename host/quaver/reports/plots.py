"""Draws the charts of a report for paper."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from quaver.reports.model import Chart, Line
from quaver.reports.words import Words

# Of matplotlib's axes of time, from years to seconds, where its own are English: the marks, those at a zero, the rest.
_DATES: dict[str, dict[str, list[str]]] = {
    "de": {
        "formats": ["%Y", "%m.%Y", "%d.", "%H:%M", "%H:%M", "%S.%f"],
        "zero_formats": ["", "%Y", "%d.%m.", "%d.%m.", "%H:%M", "%H:%M"],
        "offset_formats": ["", "%Y", "%m.%Y", "%d.%m.%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M"],
    }
}
# Of Okabe and Ito, which people with colour-blindness tell apart; no meaning hangs on colour alone.
BLUE, RED, GREEN, GREY, SKY = "#0072B2", "#D55E00", "#009E73", "#6b7280", "#56B4E9"
_SIZE = (7.3, 2.5)  # inches, of 186 mm
_SIZE_STATES = (7.3, 1.0)
_DPI = 200
_BROKEN = 10  # usual steps, beyond which a line is interrupted
_MOST = 4000  # points of a line, two for each 0.1 mm
_STATES = {2.0: ("running", GREEN), 1.0: ("stopped", "#c9ced6"), 0.0: ("failed", RED)}


def picture(chart: Chart, words: Words) -> bytes:
    """A PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    states = chart.lines[0].kind == "states"
    figure = Figure(figsize=_SIZE_STATES if states else _SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=7, colors="#333333")
    if states:
        _states(axis, chart.lines[0], words)
    else:
        axis.grid(axis="y", alpha=0.25, linewidth=0.6)
        for line in chart.lines:
            _line(axis, line, words)
        for limit in chart.limits:
            style = "-" if limit.key in ("mean", "mean_range", "healthy") else "--"
            colour = GREY if style == "-" else RED
            axis.axhline(limit.value, color=colour, linestyle=style, linewidth=0.9)
            shown = f" {words.text(limit.key)} {words.number(limit.value)}"
            axis.annotate(shown, (1.0, limit.value), xycoords=("axes fraction", "data"), va="center", fontsize=6.5,
                          color=colour, annotation_clip=False)  # fmt: skip
        axis.set_ylabel(words.unit(chart.unit), fontsize=7.5)
        axis.margins(x=0.01)
        axis.yaxis.set_major_formatter(lambda value, _: words.number(float(value), 4))
    _dates(axis, words)
    if len(chart.lines) > 1:
        axis.legend(fontsize=6.5, frameon=False, loc="upper left", ncols=3)
        axis.margins(y=0.2)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _dates(axis: Any, words: Words) -> None:
    from matplotlib import dates

    library: Any = dates
    locator = library.AutoDateLocator(tz=words.zone, minticks=4, maxticks=9)
    axis.xaxis.set_major_locator(locator)
    form = library.ConciseDateFormatter(locator, tz=words.zone, **_DATES.get(words.language, {}))
    axis.xaxis.set_major_formatter(form)
    axis.xaxis.get_offset_text().set_fontsize(7)


def _at(words: Words, times_ms: Sequence[int]) -> list[datetime]:
    return [datetime.fromtimestamp(time / 1000, words.zone) for time in times_ms]


def _line(axis: Any, line: Line, words: Words) -> None:
    label = words.text(line.key)
    if line.kind == "bars":
        at = _at(words, line.times_ms)
        steps = [b - a for a, b in itertools.pairwise(at)]
        wide = min(steps, default=timedelta(days=1))
        axis.bar(at, line.values, width=0.8 * wide, align="edge", color=BLUE, linewidth=0)
        axis.set_xlim(at[0] - 0.1 * wide, at[0] + max(at[-1] - at[0] + wide, 7 * wide))  # a few are bars, not an area
        axis.set_ylim(bottom=0)
    elif line.kind == "band":
        axis.fill_between(_at(words, line.times_ms), line.values, line.high, color=SKY, alpha=0.25, label=label, lw=0)
    elif line.kind == "interval":
        first, last = _at(words, line.times_ms)
        axis.axvspan(first, last, color=GREEN, alpha=0.15, label=label, lw=0)
        axis.plot([first, last], line.values, color=GREEN, linewidth=2.5)
    elif line.kind == "points":
        colour, size = (RED, 5) if line.key == "signals" else ("black", 9)
        axis.scatter(_at(words, line.times_ms), line.values, s=size, color=colour, zorder=3, label=label, linewidths=0)
    else:
        times, values = line.thinned(_MOST)
        shown = [float("nan") if value is None else value for value in values]
        apart = [b - a for a, b in itertools.pairwise(times)]
        usual = median(apart) if apart else 0
        for i, step in enumerate(apart):
            if step > _BROKEN * usual:  # no line where nothing is known
                shown[i + 1 if line.key == "moving_range" else i] = float("nan")
        axis.plot(_at(words, times), shown, color=BLUE, linewidth=0.7, label=label)


def _states(axis: Any, line: Line, words: Words) -> None:
    at = _at(words, line.times_ms)
    told = set()
    for i in range(0, len(at), 2):
        height = line.values[i]
        name, colour = _STATES[height] if height is not None else ("unknown", "white")
        label = words.text(name) if name not in told else None
        told.add(name)
        hatch = "////" if name == "unknown" else None
        axis.axvspan(at[i], at[i + 1], facecolor=colour, label=label, hatch=hatch, edgecolor="#b8bec8", linewidth=0)
    axis.set_yticks([])
    axis.set_xlim(at[0], at[-1])
    axis.spines["left"].set_visible(False)
    axis.legend(fontsize=6.5, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
