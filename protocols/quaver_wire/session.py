"""The provisioning session's messages and key schedule, for both sides; protocols/session.md says why it is so.

host  WHO     8, 1 to have it show itself        ->
      <- HERE      9, id (8), state                  state: bit 0 enrolled, bit 1 has a code
host  HELLO   1, version, public key (32)        ->
      <- PROGRESS  7, percent                       node (X25519 takes it a second)
      <- HELLO     2, version, the first 4 of the host's key, id (8), public key (32)
host  PROOF   3, HMAC (32)                       ->
      <- PROOF     4, HMAC (32)
host  SEALED  5, counter (2), AES-CCM            ->  a request: JSON
      <- SEALED    5, counter (2), AES-CCM           its answer: JSON
      <- REFUSED   6, reason, seconds (2)            instead of any answer
"""

from quaver_wire.hkdf import hkdf, hmac

if False:  # types alone: never compiled
    from typing import Any

VERSION = 1
HELLO_HOST = 1
HELLO_NODE = 2
PROOF_HOST = 3
PROOF_NODE = 4
SEALED = 5
REFUSED = 6
PROGRESS = 7
WHO = 8
HERE = 9

# Type -> length in bytes; SEALED: the least.
LENGTHS = (0, 34, 46, 33, 33, 11, 4, 2, 2, 10)
PLAIN_MAX = 2048  # bytes of a request or an answer
TAG = 8

# The position is the reason in REFUSED.
REASONS = (
    "",
    "malformed",  # not a message of this table
    "version",  # of another version
    "wrong_code",  # the proof did not fit
    "wait",  # too many wrong codes: try again in that many seconds
    "no_code",  # the node has no code: it was not flashed with one
    "no_session",  # nothing that this message could belong to
    "altered",  # a sealed message did not open
    "no_random",  # the node can't make random numbers, so no key: node.entropy
)


def kind_of(message: "bytes | bytearray | memoryview") -> int:
    """The type of a message whose length fits it, else 0."""
    count = len(message)
    kind = message[0] if count else 0
    if not 1 <= kind < len(LENGTHS):
        return 0
    if kind == SEALED:
        return kind if LENGTHS[SEALED] <= count <= LENGTHS[SEALED] + PLAIN_MAX else 0
    return kind if count == LENGTHS[kind] else 0


def refused(reason: str, seconds: int = 0) -> bytes:
    return bytes((REFUSED, REASONS.index(reason), seconds >> 8 & 0xFF, seconds & 0xFF))


def same(a: bytes, b: bytes) -> bool:
    """Whether both are equal, in a time that does not tell where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for place in range(len(a)):
        difference |= a[place] ^ b[place]
    return not difference


class Channel:
    """One direction after the handshake: seals or opens messages, each under the next counter."""

    def __init__(self, aead: "Any", vector: bytes) -> None:
        """aead: the cipher of this direction's key, with the two verbs that cose.py describes.

        vector: 13 bytes; the counter is XORed into its last two.
        """
        self._aead = aead
        self._vector = vector
        self.counter = 0

    def _nonce(self) -> bytes:
        end = int.from_bytes(self._vector[11:], "big") ^ self.counter
        return self._vector[:11] + end.to_bytes(2, "big")

    def _head(self) -> bytes:
        if self.counter > 0xFFFF:
            raise OverflowError("the session's counter is used up")
        return bytes((SEALED, self.counter >> 8, self.counter & 0xFF))

    def seal(self, plain: bytes) -> bytes:
        """The SEALED message of `plain`. Raises ValueError above PLAIN_MAX, OverflowError after 65,536 messages."""
        if len(plain) > PLAIN_MAX:
            raise ValueError("message of {} bytes, the most is {}".format(len(plain), PLAIN_MAX))
        head = self._head()
        out = bytearray(3 + len(plain) + TAG)
        out[:3] = head
        self._aead.encrypt(self._nonce(), head, plain, len(plain), out, 3)
        self.counter += 1
        return bytes(out)

    def open(self, message: bytes) -> "bytes | None":
        """The plaintext of the message with the next counter; None when it is not that one, and nothing has changed.

        Raises OverflowError after 65,536 messages.
        """
        head = self._head()
        if bytes(message[:3]) != head:
            return None
        length = len(message) - 3
        out = bytearray(length - TAG)
        if not self._aead.decrypt(self._nonce(), head, message, 3, length, out):
            return None
        self.counter += 1
        return bytes(out)


class Keys:
    """What both sides derive; each sends its own proof and expects the other's.

    shared: the X25519 secret; code: the proof of possession, as `normal` writes it; identity: the node's 8 bytes.
    """

    def __init__(self, shared: bytes, code: bytes, identity: bytes, host_public: bytes, node_public: bytes) -> None:
        transcript = b"quaver session 1" + identity + host_public + node_public  # every part of a fixed length
        okm = hkdf(shared + code, transcript, b"quaver session keys", 122)
        self.host_key = okm[:16]
        self.host_vector = okm[16:29]
        self.node_key = okm[29:45]
        self.node_vector = okm[45:58]
        self.host_proof = hmac(okm[58:90], b"host" + transcript)
        self.node_proof = hmac(okm[90:], b"node" + transcript)
