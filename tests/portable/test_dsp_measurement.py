"""A whole measurement against numpy and scipy in double precision, on the real MicroPython."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfreqz
from scipy.stats import kurtosis, skew

from tests.programs import program

Run = Callable[..., Any]
RATE = 26667.0
UG = 488
N = 32768
OUTER, INNER, BALL, CAGE = 3.5848, 5.4152, 2.3567, 0.39828

PROGRAM = program(__file__, "measure")


def measure(run: Run, *blocks: Any, rate: float = RATE, **settings: Any) -> list[dict[str, Any]]:
    samples = [np.asarray(block).astype(int).tolist() for block in blocks]
    argument = {"settings": [rate, settings], "blocks": samples, "ug": UG, "ratios": [OUTER, INNER, BALL, CAGE]}
    result: list[dict[str, Any]] = run(PROGRAM, argument=argument, heap="16m")
    return result


def tones(*lines: tuple[float, float], n: int = N, rate: float = RATE, noise: float = 8.0) -> NDArray[np.float64]:
    """Sines of (Hz, g) as samples, on gravity and some noise (LSB)."""
    time = np.arange(n) / rate
    signal = np.random.default_rng(n).normal(2049, noise, n)
    for index, (frequency, amplitude) in enumerate(lines):
        signal += amplitude / (UG * 1e-6) * np.sin(2 * np.pi * frequency * time + index)
    return np.round(signal)


def bearing(line_hz: float, shaft_hz: float, *, rate: float = RATE, n: int = N, strength: float = 4.0) -> Any:
    """Impacts at line_hz ring a resonance at 3.5 kHz; a weak turning line, noise."""
    time = np.arange(n) / rate
    rng = np.random.default_rng(5)
    signal = 0.15 * np.sin(2 * np.pi * shaft_hz * time) + rng.normal(0, 0.05, n)
    for start in np.arange(0.003, time[-1], 1 / line_hz):
        later = time - start
        ring = np.where(later >= 0, np.exp(-np.clip(later, 0, 1) * 900) * np.sin(2 * np.pi * 3500 * later), 0)
        signal += strength * ring
    return np.round(signal / (UG * 1e-6))


def velocity(block: Any, rate: float, low: float = 10.0, high: float = 1000.0) -> float:
    """mm/s RMS from the spectrum of the whole block under a Hann window."""
    moved = (np.asarray(block) - np.mean(block)) * UG * 1e-6 * 9806.65
    n = len(moved)
    spectrum = np.fft.rfft(moved * np.hanning(n + 1)[:n])
    frequency = np.fft.rfftfreq(n, 1 / rate)
    chosen = (frequency >= low - 0.4) & (frequency <= high + 0.4)
    square = np.abs(spectrum[chosen] / (2 * np.pi * frequency[chosen])) ** 2
    return float(np.sqrt(square.sum() * 2 / n**2 / 0.375))


def test_time_features_agree_with_scipy(micropython: Run) -> None:
    rng = np.random.default_rng(1)
    bursts = np.round(rng.normal(2048, 200, N) + 9000 * (rng.random(N) < 0.005))
    blocks = [tones((300.0, 1.0)), bursts, rng.integers(-32768, 32768, N), np.where(rng.random(N) < 0.5, -32768, 32767)]
    for block, got in zip(blocks, measure(micropython, *blocks), strict=True):
        moved = block - block.mean()
        rms, peak = float(np.sqrt(np.mean(moved**2))), float(np.abs(moved).max())
        assert got["rms"] == pytest.approx(rms * UG * 1e-6, rel=1e-6)
        assert got["peak"] == pytest.approx(peak * UG * 1e-6, rel=1e-6)
        assert got["crest"] == pytest.approx(peak / rms, rel=1e-6)
        assert got["kurtosis"] == pytest.approx(kurtosis(block, fisher=False), rel=1e-5)
        assert got["skew"] == pytest.approx(skew(block), rel=1e-4, abs=1e-5)
        assert got["range"] == [block.min(), block.max()]
        assert got["kept"]


@pytest.mark.parametrize("frequency", [11.3, 25.0, 99.7, 312.5, 640.0, 990.0])
def test_velocity_of_a_tone(micropython: Run, frequency: float) -> None:
    """Amplitude 5 mm/s is 3.54 mm/s RMS, wherever in the band; an accelerating 5 kHz beside it adds nothing."""
    amplitude = 5.0 * 2 * math.pi * frequency / 9806.65
    (got,) = measure(micropython, tones((frequency, amplitude), (5000.0, 0.5)))
    assert got["velocity"] == pytest.approx(5.0 / math.sqrt(2), rel=0.02)


@pytest.mark.parametrize(("rate", "n"), [(26667.0, 32768), (12000.0, 16384), (3200.0, 4096)])
def test_velocity_agrees_with_numpy(micropython: Run, rate: float, n: int) -> None:
    rng = np.random.default_rng(3)
    lines = [(29.95, 0.05), (59.9, 0.02), (181.0, 0.1), (750.0, 0.3)]
    sos = butter(4, 0.7, output="sos")
    rough = sosfilt(sos, rng.normal(0, 60, n))
    block = np.round(tones(*lines, n=n, rate=rate) + rough)
    settings = {"band": (400, 1200)} if rate < 4000 else {}
    (got,) = measure(micropython, block, rate=rate, **settings)
    assert got["n"] == n
    assert got["velocity"] == pytest.approx(velocity(block, rate), rel=0.02)


def test_peaks_and_bands(micropython: Run) -> None:
    lines = [(1234.5, 3.0), (5000.0, 1.0), (8000.0, 0.2), (300.0, 0.05)]
    block = tones(*lines, noise=0.5)
    (got,) = measure(micropython, block)
    found = [got["peaks"][i : i + 2] for i in range(0, len(got["peaks"]), 2)]
    for (frequency, amplitude), (true_frequency, true_amplitude) in zip(found, lines, strict=False):
        assert abs(frequency - true_frequency) < 0.25 * RATE / 4096
        assert amplitude == pytest.approx(true_amplitude, rel=0.02)
    # octaves below 13,333 Hz: 5 and 8 kHz lie in the upper two
    assert got["bands"][7] == pytest.approx(0.2 / math.sqrt(2), rel=0.02)
    assert got["bands"][6] == pytest.approx(1.0 / math.sqrt(2), rel=0.02)
    assert got["bands"][2] == pytest.approx(0.05 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("line", "ratio"), [(0, OUTER), (1, INNER), (2, 2 * BALL)])
def test_a_bearing_s_lines(micropython: Run, line: int, ratio: float) -> None:
    shaft = 24.7
    (got,) = measure(micropython, bearing(ratio * shaft, shaft), nominal_hz=25.0)
    assert got["shaft"][0] == pytest.approx(shaft, abs=0.4)
    assert got["shaft"][1] > 0.5
    assert got["hz"][line] == pytest.approx(ratio * shaft, abs=0.4)
    assert got["score"][line] > 16
    assert max(s for i, s in enumerate(got["score"]) if i != line) < got["score"][line] / 2


def test_the_amplitude_of_a_modulation(micropython: Run) -> None:
    """1 g at 3 kHz, modulated by 40 %: the rectified carrier is 2/pi g after the band-pass, its line 40 % of that."""
    time = np.arange(N) / RATE
    line = INNER * 25.0
    signal = (1 + 0.4 * np.sin(2 * np.pi * line * time)) * np.sin(2 * np.pi * 3000 * time)
    signal += 0.1 * np.sin(2 * np.pi * 25.0 * time)
    (got,) = measure(micropython, np.round(signal / (UG * 1e-6)), nominal_hz=25.0)
    sos = np.vstack([butter(2, 2000, "high", fs=RATE, output="sos"), butter(2, 5000, "low", fs=RATE, output="sos")])
    carrier = 2 / math.pi * abs(sosfreqz(sos, [3000], fs=RATE)[1][0])
    assert got["g"][1] == pytest.approx(0.4 * carrier, rel=0.03)
    assert got["envelope"] == pytest.approx(carrier * math.sqrt(1 + 0.4**2 / 2), rel=0.03)


def test_a_speed_that_nobody_configured(micropython: Run) -> None:
    (clear, silent) = measure(micropython, tones((23.4, 0.1), (46.8, 0.08), (70.2, 0.1)), tones())
    assert clear["shaft"][0] == pytest.approx(23.4, abs=0.2)
    assert clear["shaft"][1] > 0.5
    assert silent["shaft"] == [None, 0.0] or silent["shaft"][1] < 0.5


def test_a_multiple_of_the_speed_is_no_speed(micropython: Run) -> None:
    """At 50 Hz the second harmonic stands; it is the shaft's own line only if none below it is as high."""
    (right,) = measure(micropython, tones((25.0, 0.1), (50.0, 0.1)), nominal_hz=25.0)
    twice, other = measure(
        micropython, tones((25.0, 0.1), (50.0, 0.1)), tones((25.0, 0.02), (50.0, 0.1)), nominal_hz=50.0
    )
    assert right["shaft"] == [pytest.approx(25.0, abs=0.2), pytest.approx(0.9, abs=0.1)]
    assert twice["shaft"] == [50.0, 0.0]
    assert other["shaft"] == [pytest.approx(50.0, abs=0.2), pytest.approx(0.9, abs=0.1)]


@pytest.mark.parametrize(("line", "ratio"), [(0, OUTER), (1, INNER)])
def test_a_harmonic_of_a_line_is_no_line(micropython: Run, line: int, ratio: float) -> None:
    """Twice and three times the true speed, the race's line lies on its own harmonic, which is high enough."""
    for times in (1, 2, 3):
        (got,) = measure(micropython, bearing(ratio * 15.0, 15.0), nominal_hz=15.0 * times)
        assert got["heights"][3 * line] > 8
        assert (got["score"][line] > 0) == (times == 1)


def test_blocks_that_say_nothing(micropython: Run) -> None:
    zero, low, high = measure(micropython, np.zeros(N), np.full(N, -32768), np.full(N, 32767), nominal_hz=25.0)
    for got in (zero, low, high):
        assert [got[key] for key in ("rms", "peak", "crest", "kurtosis", "skew", "envelope")] == [0] * 6
        assert got["peaks"] == []
        assert got["score"] == [0, 0, 0, 0]
        assert got["shaft"] == [25.0, 0.0]


def test_a_short_measurement(micropython: Run) -> None:
    """A sixteenth of the samples: the same features, no velocity, and no speed told."""
    block = tones((1250.0, 1.0), n=2048)
    (got,) = measure(micropython, block, n=2048, nominal_hz=25.0)
    assert got["velocity"] is None
    assert got["shaft"] == [25.0, 0.0]
    assert got["rms"] == pytest.approx(float(np.std(block)) * UG * 1e-6, rel=1e-6)
    assert got["peaks"][0] == pytest.approx(1250.0, abs=0.25 * RATE / 2048)
    assert got["peaks"][1] == pytest.approx(1.0, rel=0.02)


def test_an_object_keeps_nothing_from_the_measurement_before(micropython: Run) -> None:
    loud, quiet = bearing(90.0, 25.0), tones((700.0, 0.01))
    answers = measure(micropython, quiet, loud, np.zeros(N), quiet, nominal_hz=25.0)
    assert answers[0] == answers[3]


def test_settings_that_make_no_sense_are_refused(micropython: Run) -> None:
    got = micropython(program(__file__, "refusals"))
    assert len(got) == 7
    assert got[0] == "measurement: expected a rate from 1000 to 100000 Hz, found 10"
    assert got[1] == "measurement: expected a power of two from 1024 to 32768 samples, found 3000"
    assert got[4] == "measurement: expected an envelope band from 32 to 1440 Hz, found 2000 to 5000"
    assert got[6] == "measurement: 0 of 4096 samples"


def test_memory(micropython: Run) -> None:
    """What is made once fits 48 kB; a block takes none; a second measurement leaves nothing behind."""
    held, grown = micropython(program(__file__, "memory"))
    assert held < 46_000  # of a 64-bit board, on which the small objects take twice the room
    assert grown < 1_000
