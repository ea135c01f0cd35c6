"""The X25519 function (RFC 7748, section 5) on MicroPython's own big integers, in steps that let other tasks run.

Not constant in time: big integers are not. Both scalars of a session are made for it and thrown away after it, so a
watcher has one trace of each, and the sealed link keys are not multiplied with anything here.
"""

from micropython import const

if False:  # types alone: never compiled
    from collections.abc import Iterator
    from typing import Any

_P = (1 << 255) - 19
_A24 = const(121665)
_STEP = const(15)  # bits of the scalar between two yields: 33 ms on an RP2040
BASE = b"\x09" + bytes(31)


def ladder(scalar: bytes, point: bytes) -> "Iterator[Any]":
    """Multiply; yields how far it is in percent, and last the 32 bytes of the product.

    scalar, point: 32 bytes each, as they come: clamped, and its highest bit masked, here. A product of 32 zeros
    says that the point is of small order: RFC 7748, section 6.1, has the caller refuse it.
    """
    p = _P
    k = int.from_bytes(scalar, "little") & ((1 << 255) - 8) | 1 << 254
    x1 = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2 = 1
    z2 = 0
    x3 = x1
    z3 = 1
    swapped = 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if bit != swapped:
            x2, x3 = x3, x2
            z2, z3 = z3, z2
            swapped = bit
        a = x2 + z2
        b = x2 - z2
        da = (x3 - z3) * a % p
        cb = (x3 + z3) * b % p
        a = a * a % p
        b = b * b % p
        e = a - b
        x3 = da + cb
        x3 = x3 * x3 % p
        z3 = da - cb
        z3 = z3 * z3 % p * x1 % p
        x2 = a * b % p
        z2 = e * (a + _A24 * e) % p
        if t % _STEP == 0:
            yield 100 * (254 - t) // 254
    if swapped:
        x2, z2 = x3, z3
    yield (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")
