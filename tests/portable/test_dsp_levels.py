"""The levels of a measurement's spectra against numpy in double precision, on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver_wire.spectrum import BINS, REFERENCE_G, STEP_DB, amplitude_g, envelope_edges, spectrum_edges
from tests.portable.test_dsp_measurement import UG, measure, tones

Run = Callable[..., Any]
WINDOW_DB = 1.42  # Hann, half-way between two lines
RATES = [(26667.0, 32768), (12000.0, 16384), (6000.0, 8192), (3200.0, 4096)]


def amplitudes(signal: NDArray[Any], rate: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """(Hz, g) of the lines of a signal in g about its mean, under a Hann window."""
    n = len(signal)
    lines = np.fft.rfft((signal - signal.mean()) * np.hanning(n + 1)[:n])
    return np.fft.rfftfreq(n, 1 / rate), 4 / n * np.abs(lines)


def lines_of_bins() -> list[tuple[float, float]]:
    """The edges of each bin as the device makes them, as parts of half the rate: each grows from the last, in Q12."""
    found = []
    above = 4096
    for place in range(BINS):
        below = 4096 if place % 64 == 0 else above
        above = (below * 16925 + 8192) >> 14
        found.append((below * 2.0 ** (3 * (place // 64) - 24), above * 2.0 ** (3 * (place // 64) - 24)))
    return found


def expected(top_hz: float, hz: NDArray[Any], g: NDArray[Any]) -> NDArray[Any]:
    """The highest line of each bin in half decibels above the reference; the nearest one's where a bin has none."""
    found = []
    for low, high in ((top_hz * below, top_hz * above) for below, above in lines_of_bins()):
        inside = (hz >= low) & (hz < high)
        found.append(g[inside].max() if inside.any() else g[np.abs(hz - (low + high) / 2).argmin()])
    return np.maximum(20 / STEP_DB * np.log10(np.maximum(found, 1e-12) / REFERENCE_G), 0)


def place(edges: list[float], hz: float) -> int:
    return int(np.searchsorted(edges, hz, side="right")) - 1


@pytest.mark.parametrize(("rate", "n"), RATES)
def test_a_tone_stands_in_its_bin_at_its_amplitude(micropython: Run, rate: float, n: int) -> None:
    """From the lowest octave to the highest, and over 80 dB: the level of its bin, and of no bin farther off."""
    edges = spectrum_edges(rate / 2)
    for tone in ((11.3, 0.002), (25.0, 0.2), (0.07 * rate, 0.02), (0.24 * rate, 4.0), (0.45 * rate, 0.1)):
        (got,) = measure(micropython, tones(tone, n=n, rate=rate, noise=0.3), rate=rate, band=(0.1 * rate, 0.2 * rate))
        levels = got["spectrum"]
        best = int(np.argmax(levels))
        assert abs(best - place(edges, tone[0])) <= (4 if tone[0] < 26 else 1)
        below = 20 * np.log10(tone[1] / amplitude_g(levels[best]))
        assert -0.4 <= below <= WINDOW_DB + 0.4
        assert max(level for i, level in enumerate(levels) if abs(edges[i] / tone[0] - 1) > 0.3) < levels[best] - 40


@pytest.mark.parametrize(("rate", "n"), RATES)
def test_every_bin_agrees_with_numpy(micropython: Run, rate: float, n: int) -> None:
    """The upper octaves come from the first 4,096 samples, the others from all of them."""

    from scipy.signal import butter, sosfilt  # late: it takes each worker two seconds

    rng = np.random.default_rng(3)
    sos = butter(2, 0.05, "high", output="sos")
    block = np.round(tones((29.95, 0.3), (181.0, 0.1), n=n, rate=rate) + sosfilt(sos, rng.normal(0, 60, n)))
    (got,) = measure(micropython, block, rate=rate, band=(0.1 * rate, 0.2 * rate))
    signal = block * UG * 1e-6
    fine = expected(rate / 2, *amplitudes(signal, rate))
    coarse = expected(rate / 2, *amplitudes(signal[:4096], rate))
    levels = np.array(got["spectrum"])
    finer = next(i for i, edge in enumerate(spectrum_edges(rate / 2)) if edge > 0.999 * 1024 * rate / n)
    assert np.abs(levels - coarse)[finer:].max() < 0.7
    # The low band's values are whole numbers of the sensor's: a step spread over a few thousand lines is the floor.
    got_g, fine_g = (REFERENCE_G * 10 ** (value * STEP_DB / 20) for value in (levels, fine))
    certain = np.array(spectrum_edges(rate / 2)[:-1]) > 2.1 * rate / n
    assert (np.abs(got_g - fine_g) <= 0.04 * fine_g + 0.05 * UG * 1e-6)[:finer][certain[:finer]].all()
    assert not levels[np.array(spectrum_edges(rate / 2)[1:]) < 1.4 * rate / n].any()  # there is the mean alone


def test_the_bins_edges_are_those_of_the_reader() -> None:
    edges = spectrum_edges(1.0)
    for (below, above), low, high in zip(lines_of_bins(), edges[:-1], edges[1:], strict=True):
        assert (below, above) == (pytest.approx(low, rel=2e-3), pytest.approx(high, rel=2e-3))


def test_the_envelope_s_lines(micropython: Run) -> None:
    """An amplitude modulation of 40 % stands in its bin; what the decimator takes is put back."""
    rate, n = 26667.0, 32768
    time = np.arange(n) / rate
    edges: list[float] = []
    for line in (31.0, 135.4, 403.0):
        signal = (1 + 0.4 * np.sin(2 * np.pi * line * time)) * np.sin(2 * np.pi * 3000 * time)
        (got,) = measure(micropython, np.round(signal / (UG * 1e-6)))
        edges = envelope_edges(got["envelope_top"])
        levels = got["envelope_spectrum"]
        best = int(np.argmax(levels))
        assert best == place(edges, line)
        g = 0.4 * got["envelope"] / np.sqrt(1 + 0.4**2 / 2)
        assert -0.5 <= 20 * np.log10(g / amplitude_g(levels[best])) <= WINDOW_DB + 0.4
    assert edges[-1] == pytest.approx(rate / 32)


def test_nothing_and_the_most(micropython: Run) -> None:
    """A flat signal has no level; a square wave from rail to rail tops out its bin, and none wraps round."""
    n = 32768
    square = np.where(np.arange(n) // 8 % 2, 32767, -32768)
    zero, full, noise = measure(micropython, np.zeros(n), square, np.random.default_rng(2).integers(-32768, 32767, n))
    assert zero["spectrum"] == zero["envelope_spectrum"] == [0] * BINS
    top = place(spectrum_edges(13333.5), 26667 / 16)
    assert full["spectrum"][top] == round(40 * np.log10(4 / np.pi * 32767.5 * UG * 1e-6 / REFERENCE_G)) == 252
    assert all(120 < level < 230 for level in noise["spectrum"][20:])


def test_a_short_measurement_has_levels_too(micropython: Run) -> None:
    rate, n = 26667.0, 2048
    (got,) = measure(micropython, tones((1250.0, 1.0), (5000.0, 0.1), n=n), n=n)
    edges = spectrum_edges(rate / 2)
    assert abs(int(np.argmax(got["spectrum"])) - place(edges, 1250.0)) <= 1
    assert amplitude_g(max(got["spectrum"])) == pytest.approx(1.0, rel=0.2)
    assert not any(got["spectrum"][: place(edges, rate / n)])
