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
from quaver_wire.gatt import CHALLENGE, HELLO
from quaver_wire.link_session import TAG, Session

if False:  # types alone: never compiled
    from collections.abc import Callable

    from quaver_wire.cose import Aead

VERSION = 1
NAME_MAX = 24  # bytes of a gateway's name, as its configuration has it
NONCE = 16
_NAME = const(20)  # where it begins in HELLO


# A gateway drops quaver_wire.hkdf whenever a command is done, so it is imported where it is used.


def link_key(device_key: bytes, node_id: bytes, key_generation: int, gateway: bytes, generation: int) -> bytes:
    """32 bytes. key_generation: of the device key; gateway: its name; generation: of its grant. Raises ValueError."""
    from quaver_wire.hkdf import hkdf

    if len(device_key) != 32 or len(node_id) != 8 or not 0 < len(gateway) <= NAME_MAX:
        raise ValueError("link_key: expected a key of 32 bytes, an id of 8, a name of 1 to 24")
    return hkdf(device_key, b"", b"quaver link 1" + node_id + bytes((key_generation, generation)) + gateway, 32)


def session_key(key: bytes, hello: bytes, nonce: bytes) -> bytes:
    """The AES key of one connection, 16 bytes. key: the link key; hello: the message; nonce: the node's."""
    from quaver_wire.hkdf import hkdf

    return hkdf(key, hello + nonce, b"quaver link session 1", 16)


def hello(key_generation: int, generation: int, nonce: bytes, gateway: bytes) -> bytes:
    return bytes((HELLO, VERSION, key_generation, generation)) + nonce + gateway


def parse_hello(message: bytes) -> "tuple[int, int, bytes] | None":
    """(generation of the device key, generation of the grant, the gateway's name); None for another version's.

    Raises ValueError for what is no HELLO.
    """
    if not _NAME < len(message) <= _NAME + NAME_MAX or message[0] != HELLO:
        raise ValueError("not a HELLO")
    if message[1] != VERSION:
        return None
    return message[2], message[3], message[_NAME:]


def challenge(key: bytes, greeting: bytes, nonce: bytes, cipher: "Callable[[bytes], Aead]") -> "tuple[bytes, Session]":
    """The node's answer to a HELLO, and its end of the connection. cipher: makes one of an AES key."""
    session = Session(cipher(session_key(key, greeting, nonce)), True)
    return session.sign(bytes((CHALLENGE,)) + nonce), session


def answered(key: bytes, greeting: bytes, message: bytes, cipher: "Callable[[bytes], Aead]") -> Session:
    """The gateway's end of the connection, once CHALLENGE is the node's own. Raises ValueError."""
    if len(message) != 1 + NONCE + TAG or message[0] != CHALLENGE:
        raise ValueError("not a CHALLENGE")
    session = Session(cipher(session_key(key, greeting, message[1 : 1 + NONCE])), False)
    session.check(message)
    return session
