"""The current of a modelled induction motor, as an ADC behind a clamp gets it.

Theory of operation. The line of the supply has odd harmonics, of which a motor on three wires draws no third. A broken
bar of the rotor turns at the slip's speed in the field, and modulates the current at twice the slip's frequency: two
lines stand at (1 - 2 s) and (1 + 2 s) of the supply's. After Thomson and Fenger, "Current signature analysis to detect
induction motor faults" (IEEE Industry Applications Magazine 7(4), 2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError
from quaver.recordings.machine import STEP_S, noise

_HARMONICS = ((5, 0.03), (7, 0.02))  # order, part of the line
_FILTER_ORDER = 3  # of a delta-sigma ADC, sinc³


@dataclass(frozen=True)
class MotorCurrent:
    """A seeded motor as a `Source` whose z is A in place of g: the same seed, capture and sample give the same current.

    current_a: RMS of the line; 0 for a motor that is off. line_hz: of the supply. slip: 0 to 0.1. sidebands_db: level
    of each of the two sidebands against the line, None for a sound rotor. noise_a: standard deviation.
    """

    current_a: float = 8.0
    line_hz: float = 50.0
    slip: float = 0.03
    sidebands_db: float | None = None
    noise_a: float = 0.002
    seed: int = 1

    def __post_init__(self) -> None:
        if self.current_a < 0 or self.noise_a < 0 or not 0 < self.line_hz <= 400 or not 0 <= self.slip <= 0.1:
            raise RecordingError(
                f"a motor of {self.current_a:g} A and {self.noise_a:g} A of noise, {self.line_hz:g} Hz, slip "
                f"{self.slip:g}: expected 0 A or more, up to 400 Hz, slip 0 to 0.1"
            )

    @property
    def lines(self) -> list[tuple[float, float]]:
        """What the current is made of: (Hz, amplitude in A)."""
        amplitude = self.current_a * math.sqrt(2)
        found = [(order * self.line_hz, part * amplitude) for order, part in ((1, 1.0), *_HARMONICS)]
        if self.sidebands_db is not None:
            side = amplitude * 10 ** (self.sidebands_db / 20)
            found += [(self.line_hz * (1 + sign * 2 * self.slip), side) for sign in (-1, 1)]
        return found

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        time = capture * STEP_S + np.arange(first, first + count) / rate_hz
        current = noise(self.noise_a, self.seed, capture, first, count)
        for index, (hz, amplitude) in enumerate(self.lines):
            weakened = amplitude * np.sinc(hz / rate_hz) ** _FILTER_ORDER
            current[:, 2] += weakened * np.sin(2 * np.pi * hz * time + index)
        return current.astype(np.float32)
