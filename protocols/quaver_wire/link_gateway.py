"""The gateway's half of the Bluetooth link's two greetings (link.py); a node has no room for it."""

from quaver_wire.gatt import CHALLENGE, HELLO
from quaver_wire.link import NONCE, VERSION, session_key
from quaver_wire.link_session import TAG, Session

if False:  # types alone: never compiled
    from collections.abc import Callable

    from quaver_wire.cose import Aead


def hello(key_generation: int, generation: int, nonce: bytes, gateway: bytes) -> bytes:
    return bytes((HELLO, VERSION, key_generation, generation)) + nonce + gateway


def answered(key: bytes, greeting: bytes, message: bytes, cipher: "Callable[[bytes], Aead]") -> Session:
    """The gateway's end of the connection, once CHALLENGE is the node's own. Raises ValueError."""
    if len(message) != 1 + NONCE + TAG or message[0] != CHALLENGE:
        raise ValueError("not a CHALLENGE")
    session = Session(cipher(session_key(key, greeting, message[1 : 1 + NONCE])), False)
    session.check(message)
    return session
