"""Opens a release's signed manifest (protocols/release.md), and judges whether this node may take it.

The signature is checked before a byte of the manifest is decoded.
"""

from hashlib import sha256

from micropython import const

from quaver_wire.fields import WireError

from . import p256

# A COSE_Sign1 in its one form: tag 18, an array of 4, the protected algorithm ES256, the header with the key id.
_HEAD = b"\xd2\x84\x43\xa1\x01\x26\xa1\x04\x48"
_KEY_ID = const(8)
_PAYLOAD_MAX = const(1024)
_SIGNATURE = b"\x58\x40"
_SIZE = const(64)
# The Sig_structure (RFC 9052, 4.4) up to the payload: "Signature1", the protected header, "quaver release"
_TO_BE_SIGNED = b"\x84\x6aSignature1\x43\xa1\x01\x26\x4equaver release"


class Refused(Exception):
    """A release that is not taken; args[0] is why.

    malformed, wrong_key, wrong_signature, wrong_version, expired, old (its sequence number), wrong_board,
    wrong_micropython, no_time (the node does not know whether it has expired)
    """


def payload(envelope: bytes, key: bytes):
    """A generator: yields None while it checks, and last the manifest's bytes. Raises Refused.

    envelope: of at most 1,200 bytes; key: x and y of the release key that this node trusts.
    """
    at = len(_HEAD) + _KEY_ID
    if envelope[: len(_HEAD)] != _HEAD or len(envelope) < at + 2:
        raise Refused("malformed")
    if envelope[len(_HEAD) : at] != sha256(key).digest()[:_KEY_ID]:
        raise Refused("wrong_key")
    # the payload is a byte string of 24 bytes and more: its length is in the one or two bytes that follow
    width = envelope[at] - 0x57
    start = at + 1 + width
    size = int.from_bytes(envelope[at + 1 : start], "big") if 0 < width < 3 else 0
    end = start + size
    shortest = 1 if size < 256 else 2
    if not 23 < size <= _PAYLOAD_MAX or width != shortest or len(envelope) != end + len(_SIGNATURE) + _SIZE:
        raise Refused("malformed")
    if envelope[end : end + len(_SIGNATURE)] != _SIGNATURE:
        raise Refused("malformed")
    hashed = sha256(_TO_BE_SIGNED)
    hashed.update(envelope[at:end])
    good = None
    for good in p256.verify(key, hashed.digest(), envelope[end + len(_SIGNATURE) :]):
        yield
    if not good:
        raise Refused("wrong_signature")
    yield envelope[start:end]


class Manifest:
    """What a manifest says, for one board: sequence, version, expires, listing (SHA-256), size, next_key or None.

    image: None, or of MicroPython itself: its version, and the SHA-256 and size of the list of its pieces.
    patches: None, or the SHA-256 and size of what makes files of an earlier release this one's.
    """

    def __init__(self, data, board, loads):
        """data: as `payload` gave it; board: its name; loads: of quaver_wire.decoder. Raises Refused."""
        try:
            given = loads(data)
            form = given[1]
            if form != 1:
                raise Refused("wrong_version")
            self.sequence, self.version, self.expires = given[2], given[3], given[4]
            self.next_key = given.get(7)
            self.step_down = given.get(8, ())
            if board not in given[5]:
                raise Refused("wrong_board")
            self.chip, self.mpy, self.micropython, self.listing, self.size = given[5][board]
            self.image = given.get(9, {}).get(board)
            self.patches = given.get(10, {}).get(board)
            numbers = (self.sequence, self.expires, self.mpy, self.size)
            lists = (self.step_down, self.micropython)
            if not all(isinstance(number, int) for number in numbers) or not isinstance(self.listing, bytes):
                raise ValueError
            if self.image and not (len(self.image) == 3 and [type(part) for part in self.image] == [str, bytes, int]):
                raise ValueError
            if self.patches and not (len(self.patches) == 2 and [type(part) for part in self.patches] == [bytes, int]):
                raise ValueError
            if not all(isinstance(found, (list, tuple)) for found in lists) or len(self.next_key or bytes(64)) != 64:
                raise ValueError
        except (WireError, KeyError, IndexError, TypeError, ValueError, AttributeError):  # signed, and none of ours
            raise Refused("malformed")

    def judge(self, node_id, sequence, unix_s, micropython, mpy):
        """Raise Refused unless this node may take it.

        sequence: of what it runs; unix_s: now, or None where the node has no date; micropython: the version, as text;
        mpy: sys.implementation._mpy.
        """
        if unix_s is None:
            raise Refused("no_time")
        if unix_s >= self.expires:
            raise Refused("expired")
        if self.sequence <= sequence and node_id not in self.step_down:
            raise Refused("old")
        if self.micropython and micropython not in self.micropython:
            raise Refused("wrong_micropython")
        # version and, of machine code, sub-version and architecture (MicroPython, docs/reference/mpyfiles.rst)
        if mpy & 0xFF != self.mpy & 0xFF or (self.mpy >> 8 and mpy >> 8 & 3 != self.mpy >> 8):
            raise Refused("wrong_micropython")
