"""Signals that try to make the transform overflow, and the checksums of what it makes of them.

Runs on any board that has `dsp`, and makes its signals from whole numbers alone: the checksums of a 32-bit chip must
be those of a 64-bit host.
"""

from array import array

_LOW = -32768
_HIGH = 32767


def _noise(seed):
    while True:
        seed = (seed * 1103 + 12345) & 0xFFFFF
        yield seed >> 4


def blocks(n):
    """Yield (name, array('h') of n samples); each array is reused for the next."""
    out = array("h", bytes(2 * n))

    def fill(name, function):
        for i in range(n):
            out[i] = function(i)
        return name, out

    yield fill("low", lambda i: _LOW)
    yield fill("high", lambda i: _HIGH)
    yield fill("nyquist", lambda i: _HIGH if i & 1 else _LOW)
    for half in (2, 3, 8, n // 16 + 1, n // 4, n // 2):
        yield fill(f"square {half}", lambda i, half=half: _HIGH if i // half & 1 else _LOW)
    for phase in (1, 3):  # both parts of a pair at a rail, turning with the strongest complex line
        yield fill(f"turning {phase}", lambda i, phase=phase: _LOW if (i * phase // 2 + (i & 1)) & 2 else _HIGH)
    for even in (0, 1):  # the odd samples at a quarter of their rate: the most that the split can meet
        yield fill(f"odd quarter {even}", lambda i, even=even: _LOW if (i >> 1) + (not i & 1) * even & 2 else _HIGH)
    yield fill("chirp", lambda i: _LOW if i * i // (2 * n) & 1 else _HIGH)
    for at in (0, 1, n // 2 + 1, n - 1):
        yield fill(f"impulse {at}", lambda i, at=at: _LOW if i == at else 0)
    yield fill("gap", lambda i: 0 if i == n // 3 else _LOW)
    yield fill("whisper", lambda i: -(i >> 3 & 1))
    yield fill("ramp", lambda i: i * 65535 // (n - 1) - 32768)
    for seed in (1, 2, 3, 4):
        noise = _noise(seed)
        yield fill(f"rails {seed}", lambda i, noise=noise: _LOW if next(noise) & 0x100 else _HIGH)
        yield fill(f"random {seed}", lambda i, noise=noise: next(noise) - 32768)


def checksums(n):
    """[name, exponent, checksum] of the transform of each block, on this board."""
    from dsp import kernels
    from dsp.fft import RFFT

    fft = RFFT(n)
    out = array("i", bytes(4 * n))
    result = []
    for name, block in blocks(n):
        exponent = fft.run(block, out)
        result.append([name, exponent, kernels.checksum(out, n)])
    return result
