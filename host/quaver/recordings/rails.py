"""Whether a recorder ran into its rails: the largest values that it could give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A wave's topmost level holds up to 2.4 times as many samples as the next: the arcsine law of a sine.
_PILED = 4.0
_NEAR_LEVELS = 5


def clipped(acceleration: NDArray[np.floating[Any]], rails: tuple[float, float] | None = None) -> bool:
    """Whether the recorder ran into its rails, which are those of `rails_of` the whole recording, or of this part."""
    low, high = rails_of(acceleration) if rails is None else rails
    return _flat((acceleration >= high) | (acceleration <= low))


def rails_of(acceleration: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """(lowest, highest) value that a recorder could give; -inf, inf where the signal shows none.

    At its rails the signal stays for three samples or more, and far more samples lie there than on each of the
    levels beside it. Where there are few levels the top one of a slow wave is held for some samples too, as long
    as the levels beside it are.
    """
    if np.ptp(acceleration) == 0:
        return -np.inf, np.inf
    low, high = (sign * _rail(sign * acceleration) for sign in (-1.0, 1.0))
    return (low, high) if _flat((acceleration >= high) | (acceleration <= low)) else (-np.inf, np.inf)


def _rail(signal: NDArray[np.floating[Any]]) -> float:
    """The highest value, if it is a rail, else inf."""
    levels, counts = np.unique(signal, return_counts=True)
    if len(levels) <= _NEAR_LEVELS // 2:
        return np.inf
    return float(levels[-1]) if counts[-1] > _PILED * counts[-1 - _NEAR_LEVELS : -1].max() + 1 else np.inf


def _flat(at: NDArray[np.bool_]) -> bool:
    return bool((at[2:] & at[1:-1] & at[:-2]).any())
