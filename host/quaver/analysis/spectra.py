"""Draws the signals of a healthy and a faulty bearing: two spectra each, with the bearing's lines marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import QuaverError

_POINTS = 4096  # a spectrum's block, as the node's own FFT takes it
_ENVELOPE_POINTS = 8192
_ENVELOPE_SHOWN_HZ = 500.0  # a bearing's lines at industrial speeds, with a few harmonics


@dataclass(frozen=True)
class Line:
    """A frequency to mark, e.g. Line("BPFO", 81.1)."""

    label: str
    frequency_hz: float


def amplitude_spectrum(
    acceleration: NDArray[np.floating[Any]], rate_hz: float, points: int = _POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peak amplitudes of a signal: (frequencies in Hz, amplitudes in g), each points // 2 + 1 long.

    acceleration: shape (n,), in g; n may be less than `points`. RMS average over half-overlapping Hann
    windows, corrected for the window's gain, so a sine of 1 g on a bin shows 1 g. Raises ValueError when empty.
    """
    signal = np.asarray(acceleration, dtype=np.float64)
    if signal.ndim != 1 or signal.size < 2:
        raise ValueError(f"a signal of shape {signal.shape}: expected at least 2 samples in one axis")
    points = min(points, signal.size)
    window = np.hanning(points + 1)[:points]
    blocks = np.lib.stride_tricks.sliding_window_view(signal, points)[:: max(points // 2, 1)]
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    power = np.mean(np.abs(np.fft.rfft(blocks * window, axis=1)) ** 2, axis=0)
    amplitude = 2.0 * np.sqrt(power) / max(float(window.sum()), np.finfo(float).tiny)
    return np.asarray(np.fft.rfftfreq(points, 1.0 / rate_hz), dtype=np.float64), np.asarray(amplitude)


def envelope(
    acceleration: NDArray[np.floating[Any]], rate_hz: float, band_hz: tuple[float, float]
) -> tuple[NDArray[np.float64], float]:
    """The envelope of a band, decimated: (signal of shape (m,) in g, its rate in Hz).

    The analytic signal by FFT: what lies in the band, twice, and nothing of negative frequency. The band is
    moved to begin at zero, which leaves the magnitude as it is and lets a low rate carry it.
    """
    signal = np.asarray(acceleration, dtype=np.float64)
    low, high = (round(f * signal.size / rate_hz) for f in band_hz)
    high = min(high, signal.size // 2)
    band = 2.0 * np.fft.fft(signal)[low:high]
    if band.size < 2:
        raise ValueError(f"band {band_hz[0]:g} to {band_hz[1]:g} Hz: outside the spectrum at {rate_hz:g} Hz")
    # An envelope reaches twice as far in frequency as half of its band: keep the whole band's width twice.
    size = 2 * band.size
    analytic = np.fft.ifft(band, size) * (size / signal.size)
    return np.abs(analytic), rate_hz * size / signal.size


def draw(
    path: str | Path,
    healthy: NDArray[np.floating[Any]],
    faulty: NDArray[np.floating[Any]],
    rate_hz: float,
    *,
    lines: Sequence[Line] = (),
    titles: tuple[str, str] = ("healthy", "faulty"),
    band_hz: tuple[float, float] | None = None,
) -> Path:
    """Save a picture of both signals' spectra, left in full, right of the envelope with `lines` marked.

    healthy, faulty: acceleration in g at rate_hz, shape (n,) each. band_hz: what the envelope is taken of; by
    default the upper half of the spectrum below 0.4 of the rate, where bearings ring. Amplitudes share one scale
    per column, so that the eye compares. Returns the path; raises QuaverError when it can't be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    band = band_hz or (0.1 * rate_hz, 0.4 * rate_hz)
    # Not pyplot: it would look for a display and keep every figure alive.
    figure = Figure(figsize=(11, 6.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharex="col", sharey="col")
    for row, (signal, title, colour) in enumerate(
        zip((healthy, faulty), titles, ("tab:green", "tab:red"), strict=True)
    ):
        frequencies, amplitudes = amplitude_spectrum(signal, rate_hz)
        left = axes[row][0]
        left.plot(frequencies / 1000, amplitudes * 1000, color=colour, linewidth=0.8)
        left.set_title(f"{title}: acceleration", fontsize=10)
        left.set_ylabel("amplitude (mg)")
        right = axes[row][1]
        shape, envelope_rate = envelope(signal, rate_hz, band)
        frequencies, amplitudes = amplitude_spectrum(shape, envelope_rate, _ENVELOPE_POINTS)
        shown = frequencies <= _ENVELOPE_SHOWN_HZ
        right.plot(frequencies[shown], amplitudes[shown] * 1000, color=colour, linewidth=0.8)
        right.set_title(f"{title}: envelope of {band[0] / 1000:.1f} to {band[1] / 1000:.1f} kHz", fontsize=10)
        right.set_ylabel("amplitude (mg)")
        for line in lines:
            if line.frequency_hz <= _ENVELOPE_SHOWN_HZ:
                right.axvline(line.frequency_hz, color="0.4", linestyle="--", linewidth=0.8)
                right.annotate(
                    f"{line.label}\n{line.frequency_hz:.1f} Hz",
                    (line.frequency_hz, 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(2, -2),
                    textcoords="offset points",
                    va="top",
                    fontsize=7,
                )
    axes[1][0].set_xlabel("frequency (kHz)")
    axes[1][1].set_xlabel("frequency (Hz)")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.margins(x=0)
    for axis in axes[0]:  # one scale a column: the first row's holds for both; the room above is for the labels
        axis.set_ylim(0, axis.get_ylim()[1] * 1.1)
    return save(figure, Path(path), "png")


def save(figure: Any, path: Path, form: str | None = None) -> Path:
    """Write a matplotlib figure; form: "png", or None for what the name says. Raises QuaverError."""
    try:
        figure.savefig(path, format=form)
    except OSError as error:
        raise _unsaved(path, error) from error
    return path


def check_place(path: Path) -> None:
    """Try whether a picture can be saved at `path`; what is there stays as it is. Raises QuaverError."""
    there = path.exists()
    try:
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise _unsaved(path, error) from error


def _unsaved(path: Path, error: OSError) -> QuaverError:
    return QuaverError(f"{path}: can't save the picture: {error.strerror or error}; name another file")
