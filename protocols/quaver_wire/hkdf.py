"""HKDF with SHA-256 (RFC 5869) on hashlib alone, and the keys that it derives from a device key."""

from hashlib import sha256

from quaver_wire.fields import const

_BLOCK = const(64)  # bytes of a block of SHA-256
_HASH = const(32)
_KEY = const(16)
_IV = const(13)


def hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104). MicroPython has no hmac module."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")  # whose XOR is much faster than that of each byte
    for pad in (b"\x36", b"\x5c"):
        hashed = sha256((number ^ int.from_bytes(pad * _BLOCK, "big")).to_bytes(_BLOCK, "big"))
        hashed.update(message)
        message = hashed.digest()
    return message


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """`length` bytes, at most 8,160, extracted from `secret` with `salt` and expanded with `info`."""
    if length > 255 * _HASH:
        raise ValueError("hkdf: too long")
    key = hmac(salt, secret)
    block = b""
    found = b""
    count = 0
    while len(found) < length:
        count += 1
        block = hmac(key, block + info + bytes([count]))
        found += block
    return found[:length]


def derive(device_key: bytes, direction: str, node_id: bytes, generation: int) -> "tuple[bytes, bytes]":
    """(AES key of 16 bytes, Context IV of 13) of one direction ("uplink", "downlink") of a node's key generation.

    device_key: 32 bytes; node_id: 8; generation: 0 ... 255. Raises ValueError for anything else.
    """
    if len(device_key) != 32 or len(node_id) != 8 or direction not in ("uplink", "downlink"):
        raise ValueError("derive: wrong argument")
    info = b"quaver " + direction.encode() + node_id + bytes([generation])
    found = hkdf(device_key, b"", info, _KEY + _IV)
    return found[:_KEY], found[_KEY:]
