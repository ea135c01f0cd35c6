"""A motor's current on the real MicroPython, against numpy and what the modelled motor is made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.recordings.sources import MotorCurrent
from tests.programs import program

Run = Callable[..., Any]
LOOK = program(__file__, "look")
UA = 1.2 / 32768 * 30 * 1e6  # a count of the ADC behind a clamp of 30 A/V
N = 4096


def counts(motor: MotorCurrent, capture: int = 0) -> NDArray[np.int64]:
    current = motor.samples(capture, 1000.0, 0, N)[:, 2].astype(np.float64)
    found: NDArray[np.int64] = np.clip(np.rint(current / (UA * 1e-6)), -32768, 32767).astype(np.int64)
    return found


def look(run: Run, *signals: NDArray[np.int64], line_hz: int = 50) -> list[list[Any]]:
    argument = {"signals": [signal.tolist() for signal in signals], "line_hz": line_hz, "ua": UA}
    found: list[list[Any]] = run(LOOK, argument=argument, heap="8m")
    return found


def spectrum_db(signal: NDArray[np.int64], hz: float, line_hz: float) -> float:
    """The level at hz against that at line_hz, by a Blackman-Harris window of any length between its bins."""
    turns = np.exp(-2j * np.pi * np.array([[hz], [line_hz]]) * np.arange(N) / 1000.0)
    phase = 2 * np.pi * np.arange(N) / N
    window = 0.35875 - 0.48829 * np.cos(phase) + 0.14128 * np.cos(2 * phase) - 0.01168 * np.cos(3 * phase)
    side, line = np.abs(turns @ (window * (signal - signal.mean())))
    return float(20 * np.log10(side / line))


@pytest.mark.parametrize("line_hz", [50, 60])
def test_a_pair_of_sidebands_is_found_where_and_as_high_as_it_is(micropython: Run, line_hz: int) -> None:
    given = [
        (3.0, -45.0, 0.0),
        (3.0, -45.0, 0.07),  # the supply is seldom right between two bins, or on one
        (3.0, -45.0, -0.13),
        (1.5, -40.0, 0.03),
        (1.0, -38.0, -0.1),
        (5.5, -58.0, 0.11),
        (2.2, -50.0, 0.0),
    ]
    motors = [
        MotorCurrent(8.0, line_hz + off, slip=hz / 2 / (line_hz + off), sidebands_db=level) for hz, level, off in given
    ]
    signals = [counts(motor) for motor in motors]
    for (hz, level, off), signal, found in zip(
        given, signals, look(micropython, *signals, line_hz=line_hz), strict=True
    ):
        _, line, (apart, level_db, noise_db), *_ = found
        assert line == pytest.approx(line_hz + off, abs=0.01)
        assert apart == pytest.approx(hz, abs=0.05), given
        assert level_db == pytest.approx(level, abs=1.0), given
        assert noise_db < level - 6
        if hz >= 2:  # where that window tells them apart
            sides = [spectrum_db(signal, line + sign * apart, line) for sign in (-1, 1)]
            assert level_db == pytest.approx(sum(sides) / 2, abs=1.0)


def test_a_sound_rotor_has_none_and_tells_down_to_what_level(micropython: Run) -> None:
    signals = [counts(MotorCurrent(amperes, seed=seed), seed) for amperes in (0.5, 8.0, 20.0) for seed in range(8)]
    for signal, found in zip(signals, look(micropython, *signals), strict=True):
        current_a, line, (apart, level_db, noise_db), *_ = found
        assert current_a == pytest.approx(np.std(signal) * UA * 1e-6, rel=1e-5)
        assert line == pytest.approx(50.0, abs=0.01)
        assert (apart, level_db) == (None, None)
        assert noise_db < (-45 if current_a < 1 else -65)


def test_one_side_alone_is_no_pair(micropython: Run) -> None:
    whole = MotorCurrent(8.0, slip=0.03, sidebands_db=-40.0)
    time = np.arange(N) / 1000.0
    for hz in (47.0, 53.0):  # a neighbour's line
        other = np.rint(8.0 * 2**0.5 * 10**-2 / (UA * 1e-6) * np.sin(2 * np.pi * hz * time)).astype(np.int64)
        ((_, line, (apart, level_db, _), *_),) = look(micropython, counts(MotorCurrent(8.0)) + other)
        assert line == pytest.approx(50.0, abs=0.01)
        assert (apart, level_db) == (None, None)
    assert look(micropython, counts(whole))[0][2][0] == pytest.approx(3.0, abs=0.05)


def test_without_a_line_there_is_an_rms_and_nothing_more(micropython: Run) -> None:
    off = MotorCurrent(0.0, noise_a=0.01)
    still = np.full(N, -3)
    drive = counts(MotorCurrent(8.0, line_hz=38.0))  # of a frequency converter: not the supply's
    found = look(micropython, counts(off), still, drive)
    assert [row[1:3] for row in found] == [[None, None]] * 3
    assert [row[0] for row in found] == pytest.approx([0.01, 0.0, 8.0], rel=0.05, abs=1e-6)
    assert found[1][3:] == [-3, -3]
