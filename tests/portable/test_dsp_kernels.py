"""Each kernel beside its plain twin: the same bits, from the real MicroPython."""

import importlib.util
import math
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import dsp_hostile
import dsp_twins as twin
import numpy as np
import pytest

from tests.programs import program

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
RAIL = 32768


def signals(n: int) -> list[list[int]]:
    rng = random.Random(n)
    sine = [round(9000 * math.sin(2 * math.pi * i * 10.3 / n)) for i in range(n)]
    return [
        [rng.randint(-RAIL, RAIL - 1) for _ in range(n)],
        [rng.randint(-20, 20) + 1000 for _ in range(n)],
        sine,
        [-RAIL] * (n - 1) + [RAIL - 1],
        [0] * n,
    ]


def test_gather(micropython: Run) -> None:
    raw = random.Random(7).randbytes(7 * 512)
    got = micropython(
        program(__file__, "gather"),
        argument=list(raw),
    )
    for order, (end, out) in zip(("little", "big"), got, strict=True):
        assert (end, out) == (516, [0] * 4 + twin.gather(raw, 512, 7, 5, order) + [0] * 4)


def test_gather_refuses_what_does_not_fit(micropython: Run) -> None:
    got = micropython(program(__file__, "gather_refusals"))
    assert got == [8] + ["refused"] * 6


def test_moments(micropython: Run) -> None:
    blocks = [*signals(256), [-RAIL] * 8192, [RAIL - 1] * 8192]
    got = micropython(
        program(__file__, "moments"),
        argument=blocks,
    )
    for block, sums in zip(blocks, got, strict=True):
        combined = [
            sums[0],
            sums[1] + (sums[2] << 15),
            sums[3] + (sums[4] << 15) + (sums[5] << 30),
            sums[6] + (sums[7] << 15) + (sums[8] << 30) + (sums[9] << 45),
        ]
        assert combined == twin.power_sums(block)
        assert sums[10:] == [min(block), max(block)]
        # the bounds of the kernel's docstring, which keep the sums inside 32 bits
        assert max(map(abs, sums[:10])) < 2**31 - 2**17


@pytest.mark.parametrize("window", ["hann", "flat_top"])
@pytest.mark.parametrize("n", [256, 4096])
def test_windows(micropython: Run, n: int, window: str) -> None:
    # value, mean and left shift; the last has 17 bits after the mean is gone
    rng = random.Random(n)
    cases = [
        ([rng.randint(-RAIL, RAIL - 1) for _ in range(n)], 0, 0),
        ([rng.randint(-200, 200) + 5000 for _ in range(n)], 5001, 7),
        ([rng.randint(-1, 1) for _ in range(n)], 0, 14),
        ([-RAIL] * (n // 2) + [RAIL - 1] + [-RAIL] * (n // 2 - 1), -RAIL + 16, -1),
    ]
    got = micropython(
        program(__file__, "windows"),
        argument=[window, cases],
    )
    assert got == [getattr(twin, window)(*case) for case in cases]


@pytest.mark.parametrize("n", [256, 1024, 4096])
def test_the_flat_top_window_is_the_standard_one(n: int) -> None:
    from scipy.signal.windows import flattop  # late: it takes each worker two seconds

    window = np.array(twin.flat_top_window(n)) / 32768
    assert window == pytest.approx(flattop(n, sym=False), abs=4 / 32768)


def test_under_the_flat_top_window_a_line_between_two_bins_is_as_high_as_on_one() -> None:
    n = 1024
    window = np.array(twin.flat_top_window(n)) / 32768
    gain = 2 / np.sum(window)
    for offset in (0, 0.1, 0.25, 0.4, 0.5):
        sine = np.sin(2 * np.pi * (100 + offset) * np.arange(n) / n)
        assert gain * np.abs(np.fft.rfft(sine * window)[100]) == pytest.approx(1, abs=1.5e-3)


TRANSFORM = program(__file__, "transform")


@pytest.mark.parametrize("n", [64, 128, 256, 512, 1024, 2048, 4096])
def test_transform(micropython: Run, n: int) -> None:
    blocks = signals(n)
    for block, (exponent, out, total) in zip(blocks, micropython(TRANSFORM, argument=blocks, heap="16m"), strict=True):
        assert (exponent, out) == twin.rfft(block)
        assert total == twin.checksum(out)


@pytest.mark.parametrize("n", [64, 128, 256, 512])
def test_transform_of_hostile_signals(micropython: Run, n: int) -> None:
    """The twin checks each value against 32 bits; equal checksums show that the kernels had the same values."""
    got = micropython(
        f"sys.path.append({str(Path(__file__).parent)!r})\n"
        f"import dsp_hostile\nprint(json.dumps(dsp_hostile.checksums({n})))"
    )
    expected = []
    for name, block in dsp_hostile.blocks(n):
        exponent, out = twin.rfft(block)
        expected.append([name, exponent, twin.checksum(out)])
    assert got == expected


@pytest.mark.parametrize("n", [64, 1024, 4096])
def test_a_tone_stands_70_db_above_the_transforms_own_noise(micropython: Run, n: int) -> None:
    rng = random.Random(n)
    time = np.arange(n)
    # full scale and -40 dB; between them the levels that just miss a left shift, the worst to be at
    levels = [1.0, 0.51, 0.51 / 16, 0.01]
    tones = [
        np.round(32767 * level * np.sin(2 * np.pi * rng.uniform(2, n / 2 - 2) * time / n + rng.uniform(0, 6.28)))
        for level in levels
        for _ in range(6)
    ]
    got = micropython(TRANSFORM, argument=[[int(value) for value in tone] for tone in tones], heap="16m")
    for tone, (exponent, words, _) in zip(tones, got, strict=True):
        bins = np.array(words[::2]) + 1j * np.array(words[1::2])
        truth = np.fft.rfft(tone)
        error = bins[1:] / 2.0**exponent - truth[1:-1]
        assert np.sum(np.abs(truth) ** 2) > 1e7 * np.sum(np.abs(error) ** 2)


def test_headroom_of_every_width(micropython: Run) -> None:
    values = sorted({sign * (1 << bit) + less for bit in range(16) for sign in (1, -1) for less in (-1, 0)})
    values = [value for value in values if -RAIL <= value < RAIL]
    blocks = [[0] * at + [value] + [0] * (63 - at) for value in values for at in (0, 63)]
    got = micropython(
        program(__file__, "headroom"),
        argument=blocks,
    )
    assert got == [twin.headroom(block) for block in blocks]


def test_strongest(micropython: Run) -> None:
    rng = random.Random(3)
    spectra = [
        [rng.randint(-(2**28), 2**28) for _ in range(512)],
        [rng.randint(-300, 300) for _ in range(512)],
        [rng.randint(-(2**9), 2**9) << rng.randint(0, 18) for _ in range(512)],
        [0] * 512,
        [-(2**28)] * 512,
        [2**28 if i // 2 == 100 else i % 7 for i in range(512)],
    ]
    got = micropython(
        program(__file__, "strongest"),
        argument=spectra,
    )
    assert got == [[list(peak) for peak in twin.strongest(spectrum)] for spectrum in spectra]


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


def test_the_hot_path_allocates_nothing(micropython: Run) -> None:
    got = micropython(program(__file__, "hot_path"))
    assert got is True


def test_transform_refuses_what_it_cannot_take(micropython: Run) -> None:
    got = micropython(program(__file__, "transform_refusals"))
    assert len(got) == 8
    assert got[0] == "fft: expected a power of two from 64 to 4096, found 0"
    assert got[-1] == "fft: expected buffers at a multiple of 4 bytes, found a slice"


def test_the_tables_are_what_their_generator_writes() -> None:
    path = ROOT / "tools" / "gen_dsp_tables.py"
    spec = importlib.util.spec_from_file_location("gen_dsp_tables", path)
    assert spec is not None and spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name, text in generator.sources().items():
        assert (ROOT / "firmware" / "dsp" / name).read_text() == text
