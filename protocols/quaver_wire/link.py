"""The secret of the Bluetooth link: a key for each gateway, a challenge of both sides, a tag on every message.

A gateway's link key for a node follows from the node's device key and the gateway's name, so the node makes it when the
gateway says its name, and nobody else needs the device key. A connection begins with two messages, kinds of gatt.py:

    gateway  HELLO      6, version, generation of the device key, generation of the grant, nonce (16), name
    node     CHALLENGE  6, nonce (16), tag (8)        or REFUSED, 7: not with this version, name or generation
    gateway  TIME, tag …

From there each message of either side has a tag of 8 bytes behind it: AES-CCM-16-64-128 (RFC 9053, 4.2) of no
plaintext, with the message's SHA-256 as additional data. The nonce is the direction and a count of that direction's
messages, from 0, so a tag fits one message at one place of one connection. What is said is not encrypted: records and
commands are sealed already.

    link key = HKDF-SHA-256 (RFC 5869) of the device key, no salt, info = "quaver link 1", the node's id (8), the two
               generations (1 each), the gateway's name; 32 bytes
    AES key  = HKDF-SHA-256 of the link key, salt = HELLO and the node's nonce, info = "quaver link session 1"; 16 bytes
"""

from quaver_wire.fields import const
from quaver_wire.gatt import HELLO

VERSION = 1
NAME_MAX = 24  # bytes of a gateway's name, as its configuration has it
NONCE = 16
_NAME = const(20)  # where it begins in HELLO


# A gateway drops quaver_wire.hkdf whenever a command is done, so it is imported where it is used.


def link_key(device_key: bytes, node_id: bytes, key_generation: int, gateway: bytes, generation: int) -> bytes:
    """32 bytes. key_generation: of the device key; gateway: its name; generation: of its grant. Raises ValueError."""
    from quaver_wire.hkdf import hkdf

    if len(device_key) != 32 or len(node_id) != 8 or not 0 < len(gateway) <= NAME_MAX:
        raise ValueError("link_key: wrong length")
    return hkdf(device_key, b"", b"quaver link 1" + node_id + bytes((key_generation, generation)) + gateway, 32)


def session_key(key: bytes, hello: bytes, nonce: bytes) -> bytes:
    """The AES key of one connection, 16 bytes. key: the link key; hello: the message; nonce: the node's."""
    from quaver_wire.hkdf import hkdf

    return hkdf(key, hello + nonce, b"quaver link session 1", 16)


def parse_hello(message: bytes) -> "tuple[int, int, bytes] | None":
    """(generation of the device key, generation of the grant, the gateway's name); None for another version's.

    Raises ValueError for what is no HELLO.
    """
    if not _NAME < len(message) <= _NAME + NAME_MAX or message[0] != HELLO:
        raise ValueError("not a HELLO")
    if message[1] != VERSION:
        return None
    return message[2], message[3], message[_NAME:]
