"""One connection of the Bluetooth link after its two greetings (link.py): a tag on every message, checked in order."""

from hashlib import sha256

from quaver_wire.fields import const

if False:  # types alone: never compiled
    from quaver_wire.cose import Aead

TAG = 8
_NODE = const(1)  # directions, in the nonce's first byte
_GATEWAY = const(2)


class Session:
    """One connection: makes and checks tags. aead: the cipher of `session_key`, with the verbs that cose.py tells."""

    def __init__(self, aead: "Aead", node: bool) -> None:
        self._aead = aead
        self._sends = _NODE if node else _GATEWAY
        self._nonce = bytearray(13)
        self._tag = bytearray(TAG)
        self._sent = 0
        self._taken = 0

    def _count(self, direction: int, count: int) -> bytearray:
        nonce = self._nonce
        nonce[0] = direction
        nonce[9:13] = count.to_bytes(4, "big")
        return nonce

    def sign(self, message: bytes) -> bytes:
        """The message with its tag."""
        nonce = self._count(self._sends, self._sent)
        self._aead.encrypt(nonce, sha256(message).digest(), self._tag, 0, self._tag, 0)
        self._sent += 1
        return message + self._tag

    def check(self, message: bytes) -> bytes:
        """The message without its tag. Raises ValueError when that is not the one of the next message of the peer."""
        end = len(message) - TAG
        if end < 1:
            raise ValueError("a message without a tag")
        plain = message[:end]
        nonce = self._count(_NODE + _GATEWAY - self._sends, self._taken)
        if not self._aead.decrypt(nonce, sha256(plain).digest(), message, end, TAG, bytearray(0)):
            raise ValueError("a tag that does not fit")
        self._taken += 1
        return plain
