"""The features against numpy and scipy in double precision, on the real MicroPython; and the transform's accuracy."""

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kurtosis

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
RATE = 26667.0
UG = 488

FEATURES = """
from array import array
from dsp.features import Features
answers = []
made = {}
for block in argument["blocks"]:
    n = len(block)
    if n not in made:
        made[n] = Features(n)
    features = made[n]
    features.run(array("h", block), n, argument["ug"], argument["rate"])
    answers.append({
        "rms": features.rms_g, "peak": features.peak_g, "crest": features.crest, "kurtosis": features.kurtosis,
        "lines": [features.peaks[i:i + 2] for i in range(0, len(features.peaks), 2)],
        "range": [features.minimum, features.maximum], "stage": features.stage()})
print(json.dumps(answers))
"""


def analyse(run: Run, *blocks: Any) -> list[dict[str, Any]]:
    samples = [np.asarray(block).astype(int).tolist() for block in blocks]
    result: list[dict[str, Any]] = run(FEATURES, argument={"blocks": samples, "ug": UG, "rate": RATE}, heap="8m")
    return result


def tones(n: int, *lines: tuple[float, float], noise: float = 3.0) -> NDArray[np.int64]:
    """Sines of (frequency in Hz, amplitude in g) as samples, with some noise (LSB) and an offset."""
    time = np.arange(n) / RATE
    signal = np.random.default_rng(n).normal(700, noise, n)
    for index, (frequency, amplitude) in enumerate(lines):
        signal += amplitude / (UG * 1e-6) * np.sin(2 * np.pi * frequency * time + index)
    return np.round(signal).astype(np.int64)


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fft_accuracy", ROOT / "tools" / "fft_accuracy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("n", [64, 256, 512, 1024, 2048, 4096])
def test_the_transform_agrees_with_numpy(accuracy: ModuleType, n: int) -> None:
    for name, snr_db in accuracy.table(n).items():
        # Tones keep 70 dB at every length and level. Noise fills fewer bits of the fixed growth of the passes, a
        # single impulse the fewest: it is equally weak in every bin.
        least = 70 if name.startswith(("tone", "square")) else 62 if name.startswith("noise") else 40
        assert snr_db >= least, name


@pytest.mark.parametrize("n", [256, 1024, 4096])
def test_time_features_agree_with_numpy(micropython: Run, n: int) -> None:
    rng = np.random.default_rng(n)
    bursts = rng.normal(0, 200, n) + 9000 * (rng.random(n) < 0.01)
    blocks = [tones(n, (1000.0, 2.0)), np.round(bursts), np.round(rng.normal(-9000, 40, n)), rng.integers(-3, 4, n)]
    for block, got in zip(blocks, analyse(micropython, *blocks), strict=True):
        moved = block - block.mean()
        rms, peak = float(np.sqrt(np.mean(moved**2))), float(np.abs(moved).max())
        assert got["rms"] == pytest.approx(rms * UG * 1e-6, rel=1e-6)
        assert got["peak"] == pytest.approx(peak * UG * 1e-6, rel=1e-6)
        assert got["crest"] == pytest.approx(peak / rms, rel=1e-6)
        assert got["kurtosis"] == pytest.approx(kurtosis(block, fisher=False), rel=1e-5)
        assert got["range"] == [block.min(), block.max()]


@pytest.mark.parametrize("n", [512, 4096])
@pytest.mark.parametrize("offset", [0.0, 0.2, 0.5, 0.77])
def test_lines_are_found_where_they_are(micropython: Run, n: int, offset: float) -> None:
    width = RATE / n
    lines = [
        ((bins + offset) * width, amplitude) for bins, amplitude in ((40, 4.0), (60, 1.0), (101, 0.1), (201, 0.02))
    ]
    (got,) = analyse(micropython, tones(n, *lines, noise=0.3))
    assert len(got["lines"]) >= 4
    for (frequency, amplitude), (true_frequency, true_amplitude) in zip(got["lines"], lines, strict=False):
        assert abs(frequency - true_frequency) < 0.05 * width
        assert amplitude == pytest.approx(true_amplitude, rel=0.02)


def test_one_line_is_one_peak(micropython: Run) -> None:
    (got,) = analyse(micropython, tones(4096, (1234.5, 3.0), noise=0.0))
    assert len(got["lines"]) == 1


def test_a_weak_line_keeps_its_amplitude(micropython: Run) -> None:
    """The block is shifted up before it is windowed, so 10 LSB are measured as well as 10,000."""
    (got,) = analyse(micropython, tones(4096, (3000.0, 10 * UG * 1e-6), noise=0.2))
    frequency, amplitude = got["lines"][0]
    assert frequency == pytest.approx(3000.0, abs=0.5)
    assert amplitude == pytest.approx(10 * UG * 1e-6, rel=0.02)


def test_drift_and_offset_are_no_lines(micropython: Run) -> None:
    drift = np.round(np.linspace(-900, 900, 4096)) + 5000
    (got,) = analyse(micropython, drift + tones(4096, (2000.0, 0.5)))
    assert got["lines"][0] == [pytest.approx(2000.0, abs=1), pytest.approx(0.5, rel=0.02)]
    assert min(frequency for frequency, _ in got["lines"]) > 1.5 * RATE / 4096


def test_blocks_without_signal_and_at_the_rails(micropython: Run) -> None:
    n = 256
    still, low, jump, square = analyse(
        micropython,
        np.full(n, 77),
        np.full(n, -32768),
        np.where(np.arange(n) == 9, 32767, -32768),
        np.where(np.arange(n) % 16 < 8, 32767, -32768),
    )
    for got in (still, low):
        assert [got[key] for key in ("rms", "peak", "crest", "kurtosis")] == [0, 0, 0, 0]
        assert got["lines"] == []
    assert jump["peak"] == pytest.approx(65535 * (n - 1) / n * UG * 1e-6)
    assert jump["kurtosis"] == pytest.approx(n - 2, rel=0.01)
    # a square wave's first line is 4/pi times its height
    assert square["lines"][0] == [
        pytest.approx(RATE / 16, abs=0.1),
        pytest.approx(32767.5 * 4 / math.pi * UG * 1e-6, rel=0.01),
    ]
    assert square["crest"] == pytest.approx(1)


def test_an_object_keeps_nothing_from_the_block_before(micropython: Run) -> None:
    loud, quiet = tones(512, (3000.0, 5.0)), tones(512, (700.0, 0.01))
    answers = analyse(micropython, quiet, loud, np.zeros(512), quiet)
    assert answers[0] == answers[3]


def test_other_lengths_are_refused(micropython: Run) -> None:
    got = micropython("""
from array import array
from dsp.features import Features
answers = []
for n in (0, 128, 300, 8192):
    try:
        Features(n)
    except ValueError as error:
        answers.append(str(error))
features = Features(256)
for length, count in ((256, 255), (255, 256), (512, 512)):
    try:
        features.run(array("h", bytes(2 * length)), count, 488, 26667.0)
    except ValueError as error:
        answers.append(str(error))
print(json.dumps(answers))
""")
    assert len(got) == 7
    assert got[0] == "features: expected a power of two from 256 to 4096 samples, found 0"
    assert got[4] == "features: expected 256 samples, found 255"


def test_the_engine_fits_its_memory(micropython: Run) -> None:
    held, taken = micropython("""
import gc
from array import array
import dsp.features
samples = array("h", [i % 100 * 50 for i in range(4096)])
gc.collect()
before = gc.mem_alloc()
features = dsp.features.Features(4096)
gc.collect()
held = gc.mem_alloc() - before
features.run(samples, 4096, 488, 26667.0)
gc.collect()
before = gc.mem_alloc()
features.run(samples, 4096, 488, 26667.0)
print(json.dumps([held, gc.mem_alloc() - before]))
""")
    assert held < 40_000  # and 48 kB with the samples and the code's table
    assert taken < 16_000  # the numbers on the way, twice the size they have on 32 bits; all of it goes again
