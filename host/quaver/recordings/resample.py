"""A signal at another rate, by a polyphase filter. In NumPy: SciPy's module of filters takes 1.7 s to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_ZEROS = 10  # of the sinc on either side, at the lower of the two rates
_BETA = 5.0
_PRODUCTS = 1 << 20  # at once: 4 MB


def resample(signal: NDArray[np.float32], up: int, down: int) -> NDArray[np.float32]:
    """The signal, shape (n,) or (n, axes), at up / down times its rate: ceil(n * up / down) samples, the first stays.

    up, down: without a common divisor. The low-pass is a sinc in a Kaiser window (beta 5), as the default one of
    scipy.signal.resample_poly. Outside of the signal there is 0.
    """
    half = _ZEROS * max(up, down)
    at = np.arange(-half, half + 1)
    low_pass = np.sinc(at / max(up, down)) * np.kaiser(len(at), _BETA)
    taps = 2 * half // up + 1  # that meet a sample
    phases = np.zeros(taps * up, np.float32)
    phases[: len(low_pass)] = low_pass * (up / low_pass.sum())
    phases = np.ascontiguousarray(phases.reshape(taps, up).T[:, ::-1])
    count = -(-len(signal) * up // down)
    last, phase = np.divmod(np.arange(count) * down + half, up)  # the newest sample of each output, and its filter
    found = np.empty((count, *signal.shape[1:]), np.float32)
    step = max(1, _PRODUCTS // taps)
    for axis in np.ndindex(signal.shape[1:]):
        one: tuple[Any, ...] = (slice(None), *axis)
        padded = np.zeros(taps - 1 + max(len(signal), int(last[-1]) + 1), np.float32)
        padded[taps - 1 : taps - 1 + len(signal)] = signal[one]
        windows = sliding_window_view(padded, taps)
        for i in range(0, count, step):
            part = slice(i, i + step)
            found[one][part] = np.einsum("ij,ij->i", windows[last[part]], phases[phase[part]])
    return found
