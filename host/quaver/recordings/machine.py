"""A modelled machine for where there is no recording: a rotor on a rolling bearing, healthy or with one fault.

Theory of operation. The rotor's imbalance and misalignment give harmonics of the shaft's speed. A ball that rolls
over a flaw gives a click at the flaw's kinematic frequency; each click rings the housing's resonance, a damped
sine. The ball's load sets the click's height: constant for a flaw on the outer race, which stands in the load
zone; up and down with the shaft for one on the inner race, which turns through it; with the cage for one on a
ball. Clicks come a little early or late, as slipping balls do. Broadband noise lies beneath. After McFadden & Smith,
"Model for the vibration produced by a single point defect in a rolling element bearing" (J. Sound Vib. 96, 1984).

Faults that are no bearing's add lines: `_TONES` has them by what ISO 13373-3:2015 says of each. A resonance is a narrow
band of noise, drawn as many tones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quaver.errors import RecordingError

_NOISE_BLOCK = 4096
STEP_S = 1.0  # capture k starts k seconds into the machine's life, as with recordings
_SLIP_BLOCK = 256
_SLIP = 0.01  # of a click's period, one standard deviation
_RING_TIMES = 7.0  # after so many time constants a click is below 0.1 % of its height
_CLICK_G = 4.0  # the height of a click at severity 1
# The shaft's harmonics from the first on: amplitude in g, phase in rad.
_HARMONICS = ((0.05, 0.3), (0.02, 1.1), (0.008, 2.3))
_NOISE_G = 0.05  # standard deviation
# How much of rotor and clicks each axis sees: x lies along the shaft, z points at the load zone.
_ROTOR_ON_AXES = (0.2, 0.9, 1.0)
_CLICKS_ON_AXES = (0.3, 0.7, 1.0)
_TEETH = 23
_MAINS_HZ = 50.0
# What a fault adds at severity 1: (turns of the shaft, g). The first five harmonics and halves of what is loose fall.
_TONES = {
    "unbalance": ((1.0, 0.5),),
    "misalignment": ((1.0, 0.2), (2.0, 1.2), (3.0, 0.2)),
    "looseness": ((0.5, 0.1), (1.0, 0.4), (1.5, 0.4), *((float(order), 0.6) for order in range(2, 8))),
    "gear mesh": ((_TEETH - 1.0, 0.7), (float(_TEETH), 3.0), (_TEETH + 1.0, 0.7)),
    "resonance": (),
    "electrical": (),
}
_NATURAL_HZ = 410.0
_NATURAL_WIDTH_HZ = 8.0
_NATURAL_TONES = 80
_NATURAL_G = 1.0
_ELECTRICAL_G = 0.8
_FAULTS = (None, "outer", "inner", "ball", *_TONES)


@dataclass(frozen=True)
class Bearing:
    """A rolling bearing's geometry; the default is the SKF 6205 of the Case Western rig.

    ball_mm: ball diameter; pitch_mm: pitch diameter; contact_deg: contact angle. The properties are its kinematic
    frequencies as multiples of the shaft's speed, with the outer race at rest.
    """

    balls: int = 9
    ball_mm: float = 7.94
    pitch_mm: float = 39.04
    contact_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.balls < 3 or not 0 < self.ball_mm < self.pitch_mm or not 0 <= self.contact_deg < 90:
            raise RecordingError(f"{self}: is not a bearing: expected 3 balls or more, smaller than the pitch circle")

    @property
    def _ratio(self) -> float:
        return self.ball_mm / self.pitch_mm * math.cos(math.radians(self.contact_deg))

    @property
    def bpfo(self) -> float:
        """Balls that pass a point of the outer race, a turn of the shaft."""
        return self.balls / 2 * (1 - self._ratio)

    @property
    def bpfi(self) -> float:
        """Balls that pass a point of the inner race, a turn of the shaft."""
        return self.balls / 2 * (1 + self._ratio)

    @property
    def bsf(self) -> float:
        """Turns of a ball about itself, a turn of the shaft; its flaw strikes twice in each."""
        return self.pitch_mm / (2 * self.ball_mm) * (1 - self._ratio**2)

    @property
    def ftf(self) -> float:
        """Turns of the cage, a turn of the shaft."""
        return (1 - self._ratio) / 2


@dataclass(frozen=True)
class Machine:
    """A seeded machine as a `Source`: the same seed, capture and sample give the same acceleration.

    rpm: shaft speed. fault: None, "outer", "inner", "ball" or one of `_TONES`. severity: 0 (none) to 1 (clicks of 4 g),
    more if you like. resonance_hz, damping: the housing's natural frequency and damping ratio. No gravity is in it.
    """

    rpm: float = 1797.0
    bearing: Bearing = Bearing()
    fault: str | None = None
    severity: float = 0.5
    seed: int = 1
    resonance_hz: float = 3200.0
    damping: float = 0.05

    def __post_init__(self) -> None:
        if self.fault not in _FAULTS:
            *others, last = (repr(fault) for fault in _FAULTS)
            raise RecordingError(f"fault {self.fault!r}: expected {', '.join(others)} or {last}")
        if not 0 < self.rpm <= 100_000 or not 0 <= self.severity <= 100 or self.seed < 0:
            raise RecordingError(
                f"a machine of {self.rpm:g} rpm, severity {self.severity:g}, seed {self.seed}: "
                "expected up to 100000 rpm, severity 0 to 100, a seed from 0"
            )
        if not 0 < self.damping < 1 or self.resonance_hz <= 0:
            raise RecordingError(
                f"a resonance of {self.resonance_hz:g} Hz, damping {self.damping:g}: expected above 0, and 0 to 1"
            )

    @property
    def click_hz(self) -> float | None:
        """How often the flaw strikes, in Hz; None without one."""
        ratio = {
            "outer": self.bearing.bpfo,
            "inner": self.bearing.bpfi,
            "ball": 2 * self.bearing.bsf,
        }.get(self.fault or "")
        return None if ratio is None else ratio * self.rpm / 60

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        time = capture * STEP_S + np.arange(first, first + count) / rate_hz
        signal = noise(_NOISE_G, self.seed, capture, first, count)
        signal += np.multiply.outer(self._rotor(time), _ROTOR_ON_AXES)
        if self.click_hz and self.severity and count:
            signal += np.multiply.outer(self._clicks(time), _CLICKS_ON_AXES)
        return signal.astype(np.float32)

    def _rotor(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        turn = 2 * math.pi * self.rpm / 60 * time
        total = np.zeros_like(time)
        for order, (height, phase) in enumerate(_HARMONICS, start=1):
            total += height * np.cos(order * turn + phase)
        for turns, height in _TONES.get(self.fault or "", ()):
            total += self.severity * height * np.cos(turns * turn + turns)
        if self.fault == "electrical":
            total += self.severity * _ELECTRICAL_G * np.cos(4 * math.pi * _MAINS_HZ * time)
        if self.fault == "resonance":
            drawn = np.random.default_rng([self.seed, 2]).uniform(size=(2, _NATURAL_TONES))
            # as many tones as make its curve: a Cauchy distribution has the shape of a resonance
            tones = _NATURAL_HZ + _NATURAL_WIDTH_HZ / 2 * np.tan(math.pi * 0.9 * (drawn[0] - 0.5))
            height = self.severity * _NATURAL_G * math.sqrt(2 / _NATURAL_TONES)
            for hz, phase in zip(tones, 2 * math.pi * drawn[1], strict=True):
                total += height * np.cos(2 * math.pi * hz * time + phase)
        return total

    def _clicks(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of what every click that still rings within `time` adds to it."""
        rate = self.click_hz
        assert rate is not None
        omega = 2 * math.pi * self.resonance_hz
        decay = self.damping * omega
        damped = omega * math.sqrt(1 - self.damping**2)
        earliest = math.floor((time[0] - _RING_TIMES / decay) * rate) - 1
        total = np.zeros_like(time)
        for click in range(max(earliest, 0), math.ceil(time[-1] * rate) + 1):
            moment = (click + _slips(self.seed, click // _SLIP_BLOCK)[click % _SLIP_BLOCK]) / rate
            begin, end = np.searchsorted(time, (moment, moment + _RING_TIMES / decay))
            since = time[begin:end] - moment
            total[begin:end] += self._height(moment) * np.exp(-decay * since) * np.sin(damped * since)
        return total

    def _height(self, moment: float) -> float:
        """A click's height in g: what load the flaw is under at that moment."""
        turns = self.rpm / 60 * moment
        if self.fault == "inner":
            load = (1 + math.cos(2 * math.pi * turns)) / 2
        elif self.fault == "ball":
            load = (1 + math.cos(2 * math.pi * turns * self.bearing.ftf)) / 2
        else:
            load = 1.0
        return self.severity * _CLICK_G * load


def noise(deviation: float, seed: int, capture: int, first: int, count: int) -> NDArray[np.float64]:
    """Gaussian noise from a counter-based generator, shape (count, 3): block b of a capture is drawn without those
    before."""
    block, last = first // _NOISE_BLOCK, (first + max(count, 1) - 1) // _NOISE_BLOCK
    drawn = [_noise_block(deviation, seed, capture, at) for at in range(block, last + 1)]
    start = first - block * _NOISE_BLOCK
    return np.concatenate(drawn)[start : start + count]


@lru_cache(maxsize=16)  # a stream is asked for in pieces that are shorter
def _noise_block(deviation: float, seed: int, capture: int, block: int) -> NDArray[np.float64]:
    return np.random.Generator(np.random.Philox([seed, 0, capture, block])).normal(0, deviation, (_NOISE_BLOCK, 3))


@lru_cache(maxsize=64)
def _slips(seed: int, block: int) -> tuple[float, ...]:
    """How late each click of a block comes, in periods; drawn by the clicks' numbers alone."""
    generator = np.random.Generator(np.random.Philox([seed, 1, 0, block]))
    return tuple(generator.normal(0.5, _SLIP, _SLIP_BLOCK))
