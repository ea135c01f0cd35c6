"""Counts how often the device's code finds a shaft speed where there is none, and where there is one.

    python tools/speed_in_noise.py [--count 2000] [--rpm 1500] [--recordings DIRECTORY] [--mfpt] [--firmware DIRECTORY]

A speed counts as claimed from a confidence of 0.5 on, as in a diagnosis. The noise is of families that have no line:
levels, colours, bands, gravity, drift and steps are drawn anew for each measurement. Ends with 1 when more than one
measurement in 40 claims a speed, in a family or in all.

--recordings: cwru_*.npz, as tools/diagnosis.py takes them; --mfpt: also what `quaver recordings fetch mfpt` fetched.
--firmware: another version's directory, to compare with. Runs on MicroPython's unix port; 2,000 take half a minute.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from quaver.analysis.device import UG_PER_LSB, full_length, prepare
from quaver.board.guest import guest
from quaver.board.local import last_line, start
from quaver.recordings import load, mfpt_files, mfpt_path

CLAIM = 0.5
ALLOWED = 1 / 40
RATES = (26667.0, 20000.0, 12000.0, 3200.0)
SHORT = (4, 32)  # parts of a full measurement from which no speed is told: counted for the record
_RIGHT = 0.02  # of the speed, which slips with the load
_RIG_HZ = 1797 / 60
_MFPT_HZ = 25.0
_AT_REST = 2049  # 1 g in steps

Samples = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Samples]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _white(rng: np.random.Generator, n: int, low: float = 3.0, high: float = 3000.0) -> Samples:
    return _between(rng, low, high) * rng.normal(size=n)


def _band(rng: np.random.Generator, n: int, rate: float, low: float, high: float, order: int = 4) -> Samples:
    """Noise between two frequencies, the lower one 0 for a low-pass, of a level drawn at random."""
    high = min(high, 0.48 * rate)
    edges, kind = ([low, high], "bandpass") if low else (high, "lowpass")
    noise = sosfilt(butter(order, edges, kind, fs=rate, output="sos"), rng.normal(size=n + 4096))[4096:]
    scaled: Samples = _between(rng, 3, 3000) * noise / noise.std()
    return scaled


def _colour(rng: np.random.Generator, n: int, power: float) -> Samples:
    """Noise whose power falls as that power of the frequency: 1 is pink, 2 red."""
    lines = 2 * n  # of a longer piece, so that its ends do not meet
    spectrum = rng.normal(size=lines) + 1j * rng.normal(size=lines)
    spectrum *= np.arange(1, lines + 1) ** (-power / 2)
    noise = np.fft.irfft(spectrum)[:n]
    return _between(rng, 3, 3000) * noise / float(noise.std())


def _drift(rng: np.random.Generator, n: int, rate: float) -> Samples:
    """A ramp, a part that warms up, or a slow sway."""
    time = np.arange(n) / rate
    ramp = time / time[-1]
    warming = np.exp(-time / _between(rng, 0.05, 2))
    sway = np.sin(2 * np.pi * _between(rng, 0.1, 2) * time + rng.uniform(0, 6))
    return _between(rng, 5, 5000) * (ramp, warming, sway)[rng.integers(3)]


def _steps(rng: np.random.Generator, n: int, count: int) -> Samples:
    signal = np.zeros(n)
    for _ in range(count):
        signal[rng.integers(n) :] += rng.normal() * _between(rng, 5, 2000)
    return signal


def _knocks(rng: np.random.Generator, n: int, rate: float) -> Samples:
    """Up to a dozen blows at random, each of which rings."""
    time = np.arange(n) / rate
    signal = np.zeros(n)
    for _ in range(int(rng.integers(1, 13))):
        since = time[: n - int(rng.integers(n))]
        ring = np.exp(-since * _between(rng, 50, 900)) * np.sin(2 * np.pi * _between(rng, 200, 0.4 * rate) * since)
        signal[n - len(since) :] += _between(rng, 50, 8000) * ring
    return signal


def _swelling(rng: np.random.Generator, n: int, rate: float) -> Samples:
    return _white(rng, n) * (1 + np.interp(np.arange(n), np.linspace(0, n, 9), rng.random(9)))


def _spikes(rng: np.random.Generator, n: int, rate: float) -> Samples:
    return np.where(rng.random(n) < _between(rng, 2, 200) / rate, 3000, 1) * _white(rng, n, 0.3, 10)


def _other_band(rng: np.random.Generator, n: int, rate: float) -> Samples:
    low = _between(rng, 5, 0.2 * rate)
    return _band(rng, n, rate, low, low * _between(rng, 1.3, 4) + 20, int(rng.integers(1, 5)))


def _coarse(noise: Samples, step: float) -> Samples:
    return np.round(noise / step) * step


FAMILIES: dict[str, Draw] = {
    "white": lambda rng, n, rate: _white(rng, n),
    "white, gravity": lambda rng, n, rate: _AT_REST + _white(rng, n),
    "white, tiny": lambda rng, n, rate: _AT_REST + rng.uniform(-0.5, 0.5) + _white(rng, n, 0.1, 2),
    "white, coarse": lambda rng, n, rate: _coarse(_white(rng, n, 20, 400), 64),
    "white, clipped": lambda rng, n, rate: _white(rng, n, 30000, 90000),
    "heavy tails": lambda rng, n, rate: _between(rng, 3, 300) * rng.standard_t(2, size=n),
    "blue": lambda rng, n, rate: np.diff(_white(rng, n + 1)),
    "pink": lambda rng, n, rate: _colour(rng, n, 1),
    "red": lambda rng, n, rate: _colour(rng, n, 2),
    "other colour": lambda rng, n, rate: _colour(rng, n, rng.uniform(0.3, 3)),
    "1 to 3 kHz": lambda rng, n, rate: _band(rng, n, rate, min(1000.0, 0.1 * rate), 3000),
    "below 500 Hz": lambda rng, n, rate: _band(rng, n, rate, 0, 500),
    "below 50 Hz": lambda rng, n, rate: _band(rng, n, rate, 0, 50, 2),
    "other band": _other_band,
    "swelling": _swelling,
    "random walk": lambda rng, n, rate: np.cumsum(_white(rng, n, 0.01, 10)) + _white(rng, n, 0.3, 30),
    "drift, noise": lambda rng, n, rate: _AT_REST + _drift(rng, n, rate) + _white(rng, n, 0.3, 20),
    "drift alone": lambda rng, n, rate: _AT_REST + _drift(rng, n, rate),
    "drift, coarse": lambda rng, n, rate: _coarse(_drift(rng, n, rate) + _white(rng, n, 0.3, 100), 16),
    "steps, noise": lambda rng, n, rate: _steps(rng, n, int(rng.integers(1, 20))) + _white(rng, n, 0.3, 20),
    "steps alone": lambda rng, n, rate: _AT_REST + _steps(rng, n, int(rng.integers(1, 8))),
    "knocks": lambda rng, n, rate: _knocks(rng, n, rate) + _white(rng, n, 0.5, 30),
    "spikes": _spikes,
    "at rest": lambda rng, n, rate: np.where(rng.random(n) < _between(rng, 1e-4, 0.3), _AT_REST + 1.0, _AT_REST),
}

PROGRAM = guest(__file__, "speed_in_noise")
_SKF_6205 = (3.5848, 5.4152, 2.3567, 0.39828)


def speeds(
    blocks: list[Samples], rate_hz: float, rpm: float | None = None, firmware: Path | None = None
) -> list[tuple[float | None, float]]:
    """(speed in Hz or None, confidence) of measurements of one length, in whole steps of the sensor."""
    n = len(blocks[0])
    argument = json.dumps([rate_hz, n, UG_PER_LSB, rpm and rpm / 60, _SKF_6205, len(blocks)])
    with tempfile.NamedTemporaryFile() as file:
        for block in blocks:
            file.write(np.clip(np.round(block), -32768, 32767).astype("<i2").tobytes())
        file.flush()
        with start(PROGRAM, file.name, argument, folder=firmware) as process:
            said, _ = process.communicate("")
    if process.returncode:
        raise SystemExit(f"the device's code failed: {last_line(said)}")
    return [tuple(json.loads(line)) for line in said.splitlines()]


def claims(found: list[tuple[float | None, float]]) -> int:
    return sum(confidence >= CLAIM for _, confidence in found)


def noise(names: list[str], rate_hz: float, n: int, each: int, seed: int = 0) -> list[Samples]:
    """`each` measurements of each family, one family after the other; the same seed draws the same."""
    rng = np.random.default_rng([seed, int(rate_hz), n])
    return [FAMILIES[name](rng, n, rate_hz) for name in names for _ in range(each)]


def in_noise(count: int, rpm: float | None, firmware: Path | None) -> bool:
    """Print the table of families; whether each keeps to what is allowed."""
    parts = [(rate, part) for rate in RATES for part in (1, 2)]
    each = -(-count // (len(FAMILIES) * len(parts)))
    heads = [f"{rate:.0f}/{full_length(rate) // part}" for rate, part in parts]
    configured = f"{rpm:g} 1/min configured" if rpm else "no speed configured"
    print(f"measurements of noise that claim a speed, {each} each, by rate/samples; {configured}")
    print(f"{'':16}" + "".join(f"{head:>13}" for head in heads) + f"{'in all':>13}")
    table = np.zeros((len(FAMILIES), len(parts)), int)
    for column, (rate, part) in enumerate(parts):
        for row, name in enumerate(FAMILIES):
            blocks = noise([name], rate, full_length(rate) // part, each, row)
            table[row, column] = claims(speeds(blocks, rate, rpm, firmware))
    whole = each * len(parts)
    for name, numbers in zip(FAMILIES, table, strict=True):
        print(f"{name:16}" + "".join(f"{number:>13}" for number in numbers) + f"{numbers.sum():>8} of {whole:>6,}")
    total = whole * len(FAMILIES)
    columns = "".join(f"{number:>13}" for number in table.sum(axis=0))
    print(f"{'all':16}" + columns + f"{table.sum():>8} of {total:>6,}, {table.sum() / total:.2%}")
    short = [(rate, full_length(rate) // part) for rate in RATES for part in SHORT if full_length(rate) // part >= 1024]
    found = [pair for rate, n in short for pair in speeds(noise(list(FAMILIES), rate, n, 1), rate, rpm, firmware)]
    print(f"shorter ones, from which no speed is told: {claims(found)} of {len(found)}")
    return bool((table.sum(axis=1) <= max(1, ALLOWED * whole)).all() and table.sum() <= ALLOWED * total)


def _recordings(directory: Path | None, mfpt: bool) -> Iterator[tuple[str, Any, float]]:
    """(name, recording, true speed in Hz)"""
    for path in sorted(directory.glob("cwru_*.npz")) if directory else ():
        recording = load(path)
        if path.stem == "cwru_normal_0":  # which is sampled four times as fast as it says: docs/diagnosis.md
            recording = replace(recording, rate_hz=4 * recording.rate_hz)
        yield path.stem, recording, _RIG_HZ
    for file in mfpt_files() if mfpt else ():
        yield file.name, load(mfpt_path(file.name)), _MFPT_HZ


def _kind(hz: float | None, confidence: float, true_hz: float) -> int:
    """Index of the column in which a measurement counts."""
    right = hz is not None and abs(hz / true_hz - 1) < _RIGHT
    if confidence >= CLAIM:
        return 0 if right else 1
    return (
        2 if right and confidence > 0 else 3
    )  # a configured speed that is not seen comes back as it was given, with 0


def in_recordings(directory: Path | None, mfpt: bool, firmware: Path | None) -> None:
    """Print for each recording in how many of its measurements the right speed is claimed, and a wrong one."""
    print("measurements of recordings with the right speed, a wrong one, the right one unsure (below 0.5), or none")
    heads = ("right", "wrong", "unsure", "none")
    print(f"{'':24}{'not configured':>32}{'configured':>32}")
    print(f"{'':24}" + "".join(f"{head:>8}" for head in heads + heads))
    sums = np.zeros(8, int)
    for name, recording, true_hz in _recordings(directory, mfpt):
        rate, _, pieces = prepare(recording)
        scale = max(1e-6 * UG_PER_LSB, *(float(np.abs(piece).max()) / 32767 for piece in pieces))
        blocks = [np.asarray(piece, float) / scale for piece in pieces]
        row = np.zeros((2, 4), int)
        for given, rpm in enumerate((None, 60 * true_hz)):
            for found in speeds(blocks, rate, rpm, firmware):
                row[given, _kind(*found, true_hz)] += 1
        sums += row.ravel()
        print(f"{name:24}" + "".join(f"{number:>8}" for number in row.ravel()))
    print(f"{'all':24}" + "".join(f"{number:>8}" for number in sums))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="measurements of noise; 0 for none")
    parser.add_argument("--rpm", type=float, help="a speed that the noise is configured with")
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--mfpt", action="store_true")
    parser.add_argument("--firmware", type=Path)
    options = parser.parse_args()
    if options.count < 0:
        parser.error("--count: expected 0 or more")
    if options.rpm is not None and not 1 <= options.rpm <= 60000:
        parser.error("--rpm: expected 1 to 60000")
    for name in ("recordings", "firmware"):
        directory = getattr(options, name)
        if directory and not directory.is_dir():
            parser.error(f"--{name} {directory}: is no directory")
    if options.firmware and not (options.firmware / "dsp" / "measurement.py").is_file():
        parser.error(f"--firmware {options.firmware}: expected dsp/measurement.py in it")
    if not (options.count or options.recordings or options.mfpt):
        parser.error("nothing to do: expected a --count, --recordings or --mfpt")
    good = in_noise(options.count, options.rpm, options.firmware) if options.count else True
    if options.recordings or options.mfpt:
        print("\n" * (options.count > 0), end="")
        in_recordings(options.recordings, options.mfpt, options.firmware)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
