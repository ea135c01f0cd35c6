"""Print the signal-to-noise ratio of the device's transform against numpy in double precision.

    python tools/fft_accuracy.py [N ...]

The samples are the rounded int16 ones on both sides, so the figures are of the transform alone. The code is the
device's, on MicroPython's unix port, which gives the same bits as the RP2040. Each figure is the worst of its group.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quaver.board.guest import guest

ROOT = Path(__file__).resolve().parent.parent
SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
PROGRAM = guest(__file__, "fft_accuracy")


def groups(n: int) -> dict[str, list[NDArray[np.int64]]]:
    """Test signals of n samples by name: tones on a bin and between bins at three levels, noise, impulses."""
    time = np.arange(n)
    noise = np.random.default_rng(n)

    def tone(level_db: float, bin_number: float, phase: float = 0.3) -> NDArray[np.int64]:
        sine = np.sin(2 * np.pi * bin_number * time / n + phase)
        return np.round(32767 * 10 ** (level_db / 20) * sine).astype(np.int64)

    signals = {}
    for level in (0, -20, -40):
        signals[f"tone on bin, {level} dB"] = [tone(level, number) for number in (5, n // 16, n // 3)]
        signals[f"tone off bin, {level} dB"] = [
            tone(level, number, phase) for number in (7.5, n / 10.37, n / 3.3, n / 2.1) for phase in (0.3, 2.0)
        ]
    signals["square, full scale"] = [np.where(time // half % 2, 32767, -32768) for half in (2, 7, n // 8)]
    signals["noise, peaks at full scale"] = [
        np.clip(np.round(noise.normal(0, 8000, n)), -32768, 32767).astype(np.int64) for _ in range(4)
    ]
    signals["single impulse"] = [np.where(time == at, 32767, 0) for at in (1, 5, n - 1)]
    return signals


def transform(blocks: list[NDArray[np.int64]]) -> list[NDArray[np.complex128]]:
    """What the device makes of each block, scaled like numpy.fft.rfft."""
    finished = subprocess.run(
        [Path(sys.executable).with_name("micropython"), "-X", "heapsize=4m", "-c", PROGRAM],
        input="".join(f"{json.dumps(block.tolist())}\n" for block in blocks),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
    )
    spectra = []
    for line in finished.stdout.splitlines():
        exponent, words = json.loads(line)
        pairs = np.array(words, dtype=float).reshape(-1, 2) / 2.0**exponent
        spectrum = np.append(pairs[:, 0] + 1j * pairs[:, 1], pairs[0, 1])
        spectrum[0] = pairs[0, 0]
        spectra.append(spectrum)
    return spectra


def snr_db(block: NDArray[np.int64], spectrum: NDArray[np.complex128]) -> float:
    """Power of the true spectrum over power of the error, in dB; infinite where there is none."""
    truth = np.fft.rfft(block.astype(float))
    error = np.sum(np.abs(spectrum - truth) ** 2)
    return float(10 * np.log10(np.sum(np.abs(truth) ** 2) / error)) if error > 1e-9 else np.inf


def table(n: int) -> dict[str, float]:
    """The worst ratio in dB of each group of signals of n samples."""
    signals = groups(n)
    spectra = iter(transform([block for blocks in signals.values() for block in blocks]))
    return {name: min(snr_db(block, next(spectra)) for block in blocks) for name, blocks in signals.items()}


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    columns = {n: table(n) for n in sizes}
    print(f"{'SNR in dB, n =':28}" + "".join(f"{n:8}" for n in sizes))
    for name in columns[sizes[0]]:
        print(f"{name:28}" + "".join(f"{columns[n][name]:8.1f}" for n in sizes))


if __name__ == "__main__":
    main()
