"""Each kernel of dsp/streams.py beside its plain twin: the same bits, from the real MicroPython."""

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import dsp_streams_twins as twin
import dsp_twins
import numpy as np
import pytest

from tests.programs import program

Run = Callable[..., Any]
RAIL = 32768


def signals(n: int) -> list[list[int]]:
    rng = random.Random(n)
    return [
        [rng.randint(-RAIL, RAIL - 1) for _ in range(n)],
        [rng.choice((-RAIL, RAIL - 1)) for _ in range(n)],
        [-RAIL if i // 3 % 2 else RAIL - 1 for i in range(n)],
        [-RAIL if i // 40 % 2 else RAIL - 1 for i in range(n)],
        [-RAIL] * n,
        [2048 + round(300 * math.sin(i / 3) * math.sin(i / 99) + rng.gauss(0, 5)) for i in range(n)],
        [RAIL - 1 if i == n // 2 else 0 for i in range(n)],
    ]


def test_accumulate(micropython: Run) -> None:
    """64 blocks at the rails reach the bounds of the docstring; the sums stay exact."""
    blocks = [*signals(512), [RAIL - 1] * 512]
    cases = [blocks, [[-RAIL] * 512] * 63 + [[RAIL - 1] * 512], [[5, -7] * 256] * 64]
    got = micropython(
        program(__file__, "accumulate"),
        argument=cases,
        heap="8m",
    )
    for case, t in zip(cases, got, strict=True):
        flat = [x for block in case for x in block]
        combined = [
            t[0],
            t[1] + (t[2] << 15),
            t[3] + (t[4] << 15) + (t[5] << 30),
            t[6] + (t[7] << 15) + (t[8] << 30) + (t[9] << 45),
        ]
        assert combined == dsp_twins.power_sums(flat)
        assert t[10:] == [min(flat), max(flat)]


SPLIT = program(__file__, "split")


@pytest.mark.parametrize("r", [1, 2, 4, 8])
def test_split(micropython: Run, r: int) -> None:
    """Blocks of 512 and of 64 give what one pass over all samples gives."""
    cases = [
        [block, r, *edges, size] for block in signals(2048) for edges, size in (((307, 768), 512), ((41, 1843), 64))
    ]
    for case, answer in zip(cases, micropython(SPLIT, argument=cases, heap="8m"), strict=True):
        band, envelope, high, low, (total, largest, lower, upper) = answer
        assert (band, envelope) == twin.split(case[0], r, tuple(high), tuple(low))
        assert (total, largest) == (sum(envelope), max(envelope))
        assert lower + (upper << 15) == sum(x * x for x in envelope)


def test_the_filters_are_the_ones_of_scipy(micropython: Run) -> None:
    from scipy.signal import butter

    edges = [(41, 1843), (307, 768), (700, 1024), (150, 400)]
    got = micropython(
        """
from dsp.measurement import _second_order
print(json.dumps([[_second_order(low, 1), _second_order(high, -1)] for low, high in argument]))
""",
        argument=edges,
    )
    for (low, high), sections in zip(edges, got, strict=True):
        for edge, kind, (b, n1, n2) in zip((low, high), ("high", "low"), sections, strict=True):
            nominator, denominator = butter(2, edge / 2048, kind)
            assert [b, -n1, -n2] == pytest.approx([x * 8192 for x in (nominator[0], *denominator[1:])], abs=1.5)


def test_taper(micropython: Run) -> None:
    rng = random.Random(5)
    block = [rng.randint(-RAIL, RAIL - 1) for _ in range(4096)]
    quiet = [rng.randint(-90, 90) + 7000 for _ in range(4096)]
    # values, count, stride, first, step, mean, left
    cases = [
        (block, 2048, 1, 0, 2, 0, 0),
        (block, 2048, 2, 0, 2, 0, 0),
        (quiet, 2048, 2, 1, 2, 7001, 8),
        (quiet, 128, 1, 0, 32, 7000, 7),
        (block[:512], 256, 2, 8, 16, -1, -1),
    ]
    got = micropython(
        program(__file__, "taper"),
        argument=cases,
        heap="8m",
    )
    for (values, count, stride, first, step, mean, left), out in zip(cases, got, strict=True):
        chosen = values[1 if stride == 2 and first else 0 :: stride][:count]
        assert out == twin.taper(chosen, mean, left, [first + step * i for i in range(count)])


JOIN = program(__file__, "join")


def test_join(micropython: Run) -> None:
    """Against numpy: hostile signals, and halves that fill their words differently.

    A tone keeps 70 dB. Noise fills fewer bits of the transform's fixed growth, one impulse the fewest.
    """
    rng = random.Random(9)
    tone = [round(30000 * math.sin(i * 0.7123)) for i in range(4096)]
    uneven = [rng.randint(-30, 30) if i % 2 else rng.randint(-20000, 20000) for i in range(4096)]
    alternating = [(-1) ** i * 32000 for i in range(4096)]
    blocks = [*signals(4096), tone, uneven, [uneven[i ^ 1] for i in range(4096)], alternating]
    least = [62, 62, 70, 70, 70, 62, 40, 70, 60, 60, 70]
    for block, snr_db, (exponent, words) in zip(
        blocks, least, micropython(JOIN, argument=blocks, heap="16m"), strict=True
    ):
        truth = np.fft.rfft(np.array(block, dtype=float))
        pairs = np.array(words, dtype=float).reshape(-1, 2) / 2.0**exponent
        got = np.append(pairs[:, 0] + 1j * pairs[:, 1], pairs[0, 1])
        got[0] = pairs[0, 0]
        error = np.sum(np.abs(got - truth) ** 2)
        assert 10 * np.log10(np.sum(np.abs(truth) ** 2) / max(error, 1e-9)) > snr_db
        assert max(map(abs, words)) <= 2**28


def test_sums_over_spectra(micropython: Run) -> None:
    rng = random.Random(11)
    spectra = [
        [rng.randint(-(2**27), 2**27) for _ in range(4096)],
        [rng.randint(-40, 40) for _ in range(4096)],
        [-(2**15)] * 4096,
        [2**15 - 1] * 4096,
        [0] * 4096,
    ]
    gains = [4096 + 60 * i * i for i in range(14)]
    assert max(gains) < 16384
    got = micropython(
        program(__file__, "sums"),
        argument={"spectra": spectra, "gains": gains},
        heap="8m",
    )
    for words, (shift, total, integrated, half, power) in zip(spectra, got, strict=True):
        assert shift == twin.span(words[24:3600])
        assert total == twin.energy(words[24:3600], shift)
        assert integrated == twin.integrate(words, gains, shift, 12, 800)
        assert half == twin.span(words) + 1
        assert power == twin.powers(words, half)
        assert max(power) < 2**30


def test_limit(micropython: Run) -> None:
    rng = random.Random(5)
    lists = [[rng.randrange(2**15) for _ in range(300)], [2**15 - 1] * 2048, [0, 1, 2, 3], []]
    cases = [(most, values) for values in lists for most in (2**15 - 1, 181, 2, 0)]
    got = micropython(program(__file__, "limit"), argument=cases, heap="8m")
    for (most, values), (out, total) in zip(cases, got, strict=True):
        assert out == [min(value, most) for value in values] + [7]
        assert total == sum(out[:-1])


def test_median_and_highest(micropython: Run) -> None:
    rng = random.Random(13)
    lists = [[rng.randrange(2**30) for _ in range(n)] for n in (1, 2, 3, 48, 49, 200)]
    lists += [[0] * 9, [2**30 - 1] * 8, [5, 5, 5, 1, 1], [int(rng.expovariate(1e-3)) for _ in range(51)]]
    got = micropython(
        program(__file__, "median"),
        argument=lists,
    )
    assert got == [[twin.median(values), values.index(max(values))] for values in lists]


def test_warp(micropython: Run) -> None:
    rng = random.Random(16)
    samples = [rng.choice((-RAIL, RAIL - 1, rng.randint(-RAIL, RAIL - 1))) for _ in range(4096)]
    forms = [
        [0, 300, 0, 1 << 15, 4096],
        [7, 1000, 12345, 40000, 4096],
        [0, 4096, 5, 32768, 4096],
        [0, 9, 1 << 26, 0, 9],
    ]
    got = micropython(
        """
from array import array
from dsp.warp import warp
samples = array("h", argument[0])
answers = []
for form in argument[1]:
    out = array("h", bytes(8192))
    warp(samples, out, array("i", form))
    answers.append(list(out))
print(json.dumps(answers))
""",
        argument=[samples, forms],
    )
    for (first, last, place, step, count), out in zip(forms, got, strict=True):
        expected = [0] * 4096
        for k in range(first, last):
            at = place + (k - first) * step
            i, part = (at >> 15, at >> 2 & 0x1FFF) if at >> 15 <= count - 2 else (count - 2, 0x1FFF)
            expected[k] = samples[i] + ((samples[i + 1] - samples[i]) * part >> 13)
        assert out == expected


def test_total(micropython: Run) -> None:
    rng = random.Random(15)
    words = [rng.randrange(2**30) for _ in range(1023)] + [2**30 - 1]
    got = micropython(
        """
from array import array
from dsp import streams
words = array("i", argument)
print(json.dumps([streams.total(words, 0, 1024), streams.total(words, 7, 8), streams.total(words, 9, 9)]))
""",
        argument=words,
    )
    assert got == [sum(word >> 10 for word in words), words[7] >> 10, 0]


def test_step(micropython: Run) -> None:
    rng = random.Random(4)
    lists = [
        [7] * 50,
        [7] * 48 + [4, 4],
        [-RAIL, RAIL - 1] * 3,
        [16 * rng.randint(-200, 200) for _ in range(400)],
        [rng.randint(-RAIL, RAIL - 1) for _ in range(5)],
        [0, 300, 299, 0],
    ]
    got = micropython(
        """
from array import array
from dsp import streams
print(json.dumps([streams.step(array("h", values), len(values)) for values in argument]))
""",
        argument=lists,
    )
    changes = [[abs(b - a) for a, b in itertools.pairwise(values) if a != b] for values in lists]
    assert got == [min(each, default=0xFFFF) for each in changes]


def test_standing(micropython: Run) -> None:
    rng = random.Random(14)
    noise = [int(rng.expovariate(1e-3)) for _ in range(300)]
    lines = [value * 400 if i % 37 == 5 else value for i, value in enumerate(noise)]
    lists = [noise, lines, [0] * 300, [2**30 - 1 if i == 150 else 3 for i in range(300)]]
    got = micropython(
        program(__file__, "standing"),
        argument=lists,
    )
    expected = [
        [
            k
            for k in range(2, 280)
            if values[k] > values[k - 1]
            and values[k] >= values[k + 1]
            and values[k] > 16 * twin.median(values[max(1, k - 24) : min(300, k + 25)])
        ]
        for values in lists
    ]
    assert got == expected
    assert [len(found) for found in got][1:] == [7, 0, 1]


def test_neighbours(micropython: Run) -> None:
    rng = random.Random(3)
    words = [rng.randint(-(2**20), 2**20) for _ in range(4096)]
    words[20:22] = [2**28, -(2**28)]  # bin 10, far above its neighbours
    words[24:26] = [5, -9]  # bin 12, far below bins 10 and 14
    words[28:30] = [-(2**28), 7]
    cases = [(10, 1), (10, 4), (12, 2), (2, 4), (2047, 1), (100, 1), (101, 4)]
    got = micropython(
        program(__file__, "neighbours"),
        argument=[words, cases],
    )
    for (k, far), (shift, *powers) in zip(cases, got, strict=True):
        parts = max(abs(words[2 * k]), abs(words[2 * k + 1]))
        assert parts >> shift <= 0x3FFF and (shift == 0 or (parts >> shift - 1) + 1 > 0x3FFF)
        expected = []
        for at in (k - far, k, k + far):
            pair = words[2 * at : 2 * at + 2] if 0 < at < 2048 else [0, 0]
            expected.append(sum(min(abs(part >> shift), 23169) ** 2 for part in pair))
        assert powers == expected
        assert max(powers) < 2**30 + 2**16


def test_word(micropython: Run) -> None:
    values = [0, 1, -1, 2**31 - 1, -(2**31)]
    got = micropython(
        program(__file__, "word"),
        argument=values,
    )
    assert got == values
