"""The device's transform beside those in C: on one board, of the same samples, how long each takes and how exact it is.

On the emulated Pico W the times are virtual and lie in RAM, code and constants of the C transforms too: no flash cache
misses on either side.
"""

from __future__ import annotations

import ast
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.bench import Figure
from quaver.bench.c_transforms import CMSIS_DSP, EMLEARN, CTransform, compile_transform
from quaver.board.guest import guest
from quaver.board.interface import Board
from quaver.errors import BoardError
from quaver.files.pinned import Progress

SIZES = (256, 512, 1024, 2048, 4096)
C_SIZES = (256, 512, 1024, 2048)
_GOALS_US = {"assembly": {256: 290, 1024: 850, 2048: 2000}, "viper": {1024: 2200}}
_MODULES = {"assembly": "passes_thumb", "viper": "passes"}
# How many times as long as ours in assembly a C transform takes at least.
_RATIO_GOALS = {(EMLEARN, 1024): 20, (CMSIS_DSP, 1024): 1, (CMSIS_DSP, 2048): 1}
_SIGNALS = 3


@dataclass(frozen=True)
class Measured:
    """time_us: the longest of all signals. full_db, quiet_db: SNR of noise at full scale, and 40 dB below."""

    time_us: int
    full_db: float
    quiet_db: float


Times = Mapping[int, Measured]
"""By number of samples."""


def board_files(c_transforms: tuple[CTransform, ...], progress: Progress | None = None) -> dict[str, bytes]:
    """What the board needs for it. Raises ArtifactError, BuildError."""
    files = {f"{each.glue}.bin": compile_transform(each, progress) for each in c_transforms}
    files["blocks.bin"] = b"".join(signal.astype("<i2").tobytes() for n in SIZES for signal in signals(n))
    return files


def signals(n: int) -> list[NDArray[np.int64]]:
    """n samples of each signal: a sawtooth that fills 16 bits, Gaussian noise that does, the same 40 dB below."""
    noise = np.random.default_rng(n).normal(0, 8000, n)
    return [
        np.arange(n) * 40503 % 65536 - 32768,
        np.clip(np.round(noise), -32768, 32767).astype(np.int64),
        np.round(noise / 100).astype(np.int64),
    ]


def snr_db(samples: NDArray[np.int64], bins: NDArray[np.complex128]) -> float:
    """Power of the exact transform over that of the error, bins 1 ... n/2 - 1.

    samples: n as the transform got them. bins: 0 ... n/2 - 1, scaled as numpy.fft.rfft has them.
    """
    inner = slice(1, len(samples) // 2)
    exact = np.fft.rfft(samples)[inner]
    return float(10 * np.log10(np.sum(np.abs(exact) ** 2) / np.sum(np.abs(bins[inner] - exact) ** 2)))


def prepare(device: Board) -> None:
    """The definitions that the measurements go by, in the board's memory until its next reset."""
    device.exec(guest(__file__, "times", signals=_SIGNALS, sizes=SIZES), timeout=60.0)


def numbers(said: str) -> list[tuple[Any, ...]]:
    """The tuples that a board printed, one a line. Raises BoardError."""
    try:
        return [tuple(ast.literal_eval(line)) for line in said.strip().splitlines()]
    except (SyntaxError, ValueError) as error:
        raise BoardError(f"the board printed {said[:60]!r} instead of its figures: report it") from error


def measure(device: Board, kind: str) -> Times:
    """The device's own transform, in "assembly" or in "viper"."""
    said = device.exec(guest(__file__, "transforms", passes=_MODULES[kind]), timeout=120.0)
    return _measured(said, lambda data, exponent: _pairs(data, "<i4") / 2.0**exponent)


def measure_c(device: Board, transform: CTransform) -> Times:
    """A transform in C, of which the board has the code."""

    def bins(data: bytes, _: int) -> NDArray[np.complex128]:
        if transform.floats:
            real, imaginary = np.frombuffer(data, "<f4").astype(float).reshape(2, -1)
            return np.asarray(real + 1j * imaginary)
        pairs = _pairs(data, "<i2")
        return pairs * 2 * len(pairs)

    given = {"glue": transform.glue, "floats": transform.floats, "lengths": C_SIZES}
    return _measured(device.exec(guest(__file__, "c_transform", **given), timeout=120.0), bins)


def _pairs(data: bytes, kind: str) -> NDArray[np.complex128]:
    parts = np.frombuffer(data, kind).astype(float).reshape(-1, 2)
    return np.asarray(parts[:, 0] + 1j * parts[:, 1])


def _measured(said: str, bins: Callable[[bytes, int], NDArray[np.complex128]]) -> Times:
    """By the lines that a board printed, for each length one a signal. bins: of a line's data and exponent."""
    found: dict[int, list[tuple[int, NDArray[np.complex128]]]] = {}
    for n, time_us, exponent, text in numbers(said):
        found.setdefault(n, []).append((time_us, bins(base64.b64decode(text), exponent)))
    times = {}
    for n, each in found.items():
        _, full, quiet = (snr_db(signal, made) for signal, (_, made) in zip(signals(n), each, strict=True))
        times[n] = Measured(max(time_us for time_us, _ in each), full, quiet)
    return times


def figures(ours: Mapping[str, Times], theirs: Mapping[CTransform, Times], chip: bool) -> list[Figure]:
    """Times, signal-to-noise ratios, and how many times as long as ours in assembly those in C take."""
    rows = []
    for kind, times in ours.items():
        goals = _GOALS_US[kind] if chip else {}
        rows += [
            Figure(f"RFFT of {n:,} samples, {kind}", each.time_us, "us", goals.get(n)) for n, each in times.items()
        ]
    same = next(iter(ours.values()))  # assembly and viper make the same bits
    for n, each in same.items():
        peer = theirs[CMSIS_DSP][n].full_db if CMSIS_DSP in theirs and (CMSIS_DSP, n) in _RATIO_GOALS else None
        rows.append(
            Figure(f"RFFT of {n:,} samples, SNR", _db(each.full_db), "dB", peer and _db(peer), True, _note(same))
        )
    for transform, times in theirs.items():
        note = f"Clang -O3{', arithmetic of the boot ROM' if transform.floats else ''}; {_note(times)}"
        for n, each in times.items():
            ratio = round(each.time_us / ours["assembly"][n].time_us, 1)
            rows += [
                Figure(f"{transform.title} of {n:,}", each.time_us, "us", note=note),
                Figure("  it over ours in assembly", ratio, "x", _RATIO_GOALS.get((transform, n)), True),
                Figure("  its SNR", _db(each.full_db), "dB"),
            ]
    return rows


def _note(times: Times) -> str:
    quiet = [_db(each.quiet_db) for each in times.values()]
    return f"SNR of noise at full scale; 40 dB below, {min(quiet)} to {max(quiet)} dB"


def _db(value: float) -> float:
    return round(value, 1)
