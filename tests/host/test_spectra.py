"""Spectra against signals whose answer is known, and the picture."""

from pathlib import Path

import numpy as np
import pytest

from quaver.analysis.spectra import Line, amplitude_spectrum, check_place, draw, envelope
from quaver.errors import QuaverError

RATE = 26667.0


def knocking(rate_hz: float, seconds: float, knocks_hz: float) -> np.ndarray:
    """Decaying bursts at 5 kHz, knocks_hz times a second, in noise."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    since = t % (1 / knocks_hz)
    noise = np.random.default_rng(1).normal(0, 0.02, t.size)
    return np.exp(-since * 2000) * np.sin(2 * np.pi * 5000 * since) + noise


@pytest.mark.parametrize("count", [4096, 10000, 300])
def test_a_sine_shows_its_amplitude(count: int) -> None:
    points = min(count, 4096)
    frequency = RATE * 60 / points
    signal = 0.5 + 1.5 * np.sin(2 * np.pi * frequency * np.arange(count) / RATE)
    frequencies, amplitudes = amplitude_spectrum(signal, RATE)
    assert frequencies.shape == amplitudes.shape == (points // 2 + 1,)
    assert frequencies[amplitudes.argmax()] == pytest.approx(frequency)
    assert amplitudes.max() == pytest.approx(1.5, rel=1e-3)
    assert amplitudes[0] < 1e-6  # the mean is gravity's, not vibration's


def test_envelope_of_a_modulated_tone() -> None:
    t = np.arange(40000) / RATE
    signal = (1 + 0.4 * np.cos(2 * np.pi * 81 * t)) * np.cos(2 * np.pi * 6000 * t)
    shape, rate = envelope(signal, RATE, (4000, 8000))
    middle = shape[len(shape) // 8 : -len(shape) // 8]
    assert middle.mean() == pytest.approx(1.0, abs=0.01)
    frequencies, amplitudes = amplitude_spectrum(shape, rate, 8192)
    assert frequencies[amplitudes.argmax()] == pytest.approx(81, abs=rate / 8192)
    assert rate < RATE


def test_knocks_stand_at_their_frequency() -> None:
    shape, rate = envelope(knocking(RATE, 3, 107.4), RATE, (2667, 10667))
    frequencies, amplitudes = amplitude_spectrum(shape, rate, 8192)
    assert frequencies[amplitudes.argmax()] == pytest.approx(107.4, abs=rate / 8192)


def test_unusable_signals() -> None:
    with pytest.raises(ValueError, match="at least 2 samples"):
        amplitude_spectrum(np.zeros(0), RATE)
    with pytest.raises(ValueError, match="at least 2 samples"):
        amplitude_spectrum(np.zeros((10, 3)), RATE)
    with pytest.raises(ValueError, match="outside the spectrum"):
        envelope(np.zeros(1000), 1000.0, (600, 900))


def test_picture(tmp_path: Path) -> None:
    healthy = np.random.default_rng(2).normal(0, 0.1, int(RATE))
    lines = [Line("BPFO", 81.1), Line("out of the picture", 5000.0)]
    path = draw(tmp_path / "spectra.png", healthy, knocking(RATE, 1, 81.1), RATE, lines=lines)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82")
    assert len(data) > 20_000


def test_picture_where_none_can_be(tmp_path: Path) -> None:
    signal = np.ones(5000)
    with pytest.raises(QuaverError, match=r"can't save the picture: .*; name another file"):
        draw(tmp_path / "no" / "x.png", signal, signal, RATE)


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "new.png")
    (tmp_path / "old.png").write_bytes(b"old")
    check_place(tmp_path / "old.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old.png", b"old")]
    with pytest.raises(QuaverError, match="can't save the picture: Is a directory; name another file"):
        check_place(tmp_path)
