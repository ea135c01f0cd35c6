"""What a capture says of its sample clock and of what it lost; on the real MicroPython, over a sensor of numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.programs import program

Run = Callable[..., Any]

# A FIFO of 512 words that fills at rate_hz of a clock which only sleeping, reading and the sink's work move on.
RIG = program(__file__, "rig")


@pytest.mark.parametrize("error", [0.96, 1.0, 1.04])
def test_the_rate_is_the_measured_one(micropython: Run, error: float) -> None:
    rate, jitter_us, dropped = micropython(RIG + "print(json.dumps(capture(argument)))", argument=26667 * error)
    assert rate == pytest.approx(26667 * error, rel=5e-4)
    assert jitter_us < 37.5  # a sample's time: the model's clock is even, and is read in whole samples
    assert dropped == 0


def test_an_uneven_clock_is_told(micropython: Run) -> None:
    even, uneven = micropython(RIG + "print(json.dumps([capture(26667), capture(26667, late_us=800)]))")
    assert even[1] < 37.5
    assert 100 < uneven[1] < 800
    assert uneven[0] == pytest.approx(26667, rel=2e-3)


@pytest.mark.parametrize("stall_us", [0, 10_000, 40_000, 200_000])
def test_lost_samples_are_counted(micropython: Run, stall_us: int) -> None:
    """A FIFO of 512 holds 19.2 ms; what a longer stall leaves over is lost, and told to a percent or some samples."""
    rate, _, dropped = micropython(RIG + "print(json.dumps(capture(26667, stall_us=argument)))", argument=stall_us)
    most = stall_us * 26667e-6
    if stall_us <= 10_000:
        assert dropped == 0
    else:
        assert most - 512 <= dropped <= most
    assert rate == pytest.approx(26667, rel=5e-4)
