"""Checks ES256 signatures (ECDSA over P-256 with SHA-256: FIPS 186-5, 6.4.2) on MicroPython's own big integers.

In steps that let other tasks run. Not constant in time: all that goes in is public.
"""

from micropython import const

_P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_STEP = const(8)  # bits of the scalars between two yields
_ODD = const(4)  # multiples of each point that are kept: 1, 3, 5, 7 times


def verify(key: bytes, digest: bytes, signature: bytes):
    """A generator: yields None while it works, and last True or False.

    key: x and y of the public key, 64 bytes; digest: SHA-256 of what was signed, 32 bytes; signature: r and s, 64
    bytes; all big endian. False for a key that is no point of the curve.
    """
    x = int.from_bytes(key[:32], "big")
    y = int.from_bytes(key[32:], "big")
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    known = len(key) == 64 and x < _P and y < _P and not (x * x * x - 3 * x + _B - y * y) % _P
    if not (known and len(signature) == 64 and 0 < r < _N and 0 < s < _N):
        yield False
        return
    w = _inverse(s, _N)
    yield
    bases = []
    for point in (_G, (x, y)):
        bases.append(_odd(point))
        yield
    first = _digits(int.from_bytes(digest, "big") * w % _N)
    second = _digits(r * w % _N)
    sum_ = (0, 0, 0)
    for at in range(max(len(first), len(second)) - 1, -1, -1):
        sum_ = _double(sum_)
        for digits, points in ((first, bases[0]), (second, bases[1])):
            digit = digits[at] if at < len(digits) else 0
            if digit:
                px, py = points[(digit if digit > 0 else -digit) >> 1]
                sum_ = _add(sum_, px, py if digit > 0 else _P - py)
        if not at % _STEP:
            yield
    x, _, z = sum_
    zz = z * z % _P
    # x / z**2 is r, as a number below the curve's order: r itself or, where it is still one of the field, r + n
    yield bool(z) and (r * zz % _P == x or (r + _N < _P and (r + _N) * zz % _P == x))


def _digits(k):
    """k in non-adjacent form of width 4 (Guide to Elliptic Curve Cryptography, algorithm 3.35), lowest digit first."""
    found = []
    while k:
        digit = 0
        if k & 1:
            digit = k & 15
            if digit > 7:
                digit -= 16
            k -= digit
        found.append(digit)
        k >>= 1
    return found


def _odd(point):
    """1, 3, 5 and 7 times a point, each as (x, y)."""
    x, y = point
    twice = _affine(_double((x, y, 1)))
    found = [point]
    for _ in range(_ODD - 1):
        x, y = found[-1]
        found.append(_affine(_add((x, y, 1), twice[0], twice[1])))
    return found


def _affine(point):
    x, y, z = point
    z = _inverse(z, _P)
    zz = z * z % _P
    return x * zz % _P, y * zz * z % _P


def _inverse(a, m):
    """1 / a modulo the prime m, by Euclid's extended algorithm."""
    u, v = a % m, m
    x, y = 1, 0
    while u > 1:
        q = v // u
        u, v, x, y = v - q * u, u, y - q * x, x
    return x % m


def _double(point):
    """Twice a point in Jacobian coordinates (dbl-2001-b of the Explicit-Formulas Database); (.., .., 0) is infinity."""
    x, y, z = point
    if not z:
        return point
    p = _P
    delta = z * z % p
    gamma = y * y % p
    beta = x * gamma % p
    alpha = 3 * (x - delta) * (x + delta) % p
    x = (alpha * alpha - 8 * beta) % p
    z = ((y + z) * (y + z) - gamma - delta) % p
    return x, (alpha * (4 * beta - x) - 8 * gamma * gamma) % p, z


def _add(point, x2, y2):
    """A point and an affine one (madd, of the same source)."""
    x1, y1, z1 = point
    if not z1:
        return x2, y2, 1
    p = _P
    zz = z1 * z1 % p
    h = (x2 * zz - x1) % p
    r = (y2 * zz * z1 - y1) % p
    if not h:
        return (0, 0, 0) if r else _double(point)
    hh = h * h % p
    hhh = h * hh % p
    v = x1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - y1 * hhh) % p, z1 * h % p
