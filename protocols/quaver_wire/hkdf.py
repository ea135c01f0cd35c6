"""HKDF with SHA-256 (RFC 5869) on hashlib alone, and the keys that it derives from a device key."""

from hashlib import sha256

_BLOCK = 64  # bytes of a block of SHA-256
_HASH = 32
KEY_BYTES = 16
NONCE_BYTES = 13


def hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104). MicroPython has no hmac module."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")  # whose XOR is much faster than that of each byte
    inner = sha256(_with(number, b"\x36"))
    inner.update(message)
    outer = sha256(_with(number, b"\x5c"))
    outer.update(inner.digest())
    return outer.digest()


def _with(number: int, pad: bytes) -> bytes:
    return (number ^ int.from_bytes(pad * _BLOCK, "big")).to_bytes(_BLOCK, "big")


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """`length` bytes, at most 8,160, extracted from `secret` with `salt` and expanded with `info`."""
    if length > 255 * _HASH:
        raise ValueError("hkdf: over 255 blocks")
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
        raise ValueError("derive: expected a key of 32 bytes, an id of 8, uplink or downlink")
    info = b"quaver " + direction.encode() + node_id + bytes([generation])
    found = hkdf(device_key, b"", info, KEY_BYTES + NONCE_BYTES)
    return found[:KEY_BYTES], found[KEY_BYTES:]
