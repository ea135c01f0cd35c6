"""The frame of a sealed message: COSE_Encrypt0 (RFC 9052, 5.2) with AES-CCM-16-64-128 (RFC 9053, 4.2), and no cipher.

A message is the untagged array [h'a1010a', {4: key id, 6: Partial IV}, ciphertext]. The key id is the node's id (8
bytes) and its key's generation (1); the Partial IV is the sender's boot (1 to 4 bytes, shortest) and sequence number
(3 bytes). The nonce is the Partial IV, padded on the left to 13 bytes, XOR the Context IV (RFC 9052, 3.1). The
additional data is the Enc_structure with the message's class as external data.

The cipher is given as `aead`, with two verbs over buffers of the caller:
    encrypt(nonce, additional, plain, length, out, at) -> end, having written length + 8 bytes
    decrypt(nonce, additional, data, at, length, out) -> bool: whether the tag of 8 bytes at its end is right; only
        then `out` holds the length - 8 bytes of plaintext
"""

from quaver_wire.fields import MESSAGE_CLASSES, WireError, const

if False:  # types alone: never compiled
    from typing import Protocol

    class Aead(Protocol):
        def encrypt(
            self, nonce: bytearray, additional: bytes, plain: bytearray, length: int, out: bytearray, at: int
        ) -> int: ...

        def decrypt(
            self, nonce: bytearray, additional: bytes, data: bytes, at: int, length: int, out: bytearray
        ) -> bool: ...


_ID = const(8)
_NONCE = const(13)
_TAG = const(8)
_KEY_ID = const(9)
_SEQ = const(3)
_SEQ_END = const(1 << 24)
_BOOT_END = 1 << 32
_MESSAGE = const(1024)
# array of 3, the protected header {1: 10} as a byte string, map of 2, key 4, a byte string of 9: whose id it is follows
START = b"\x83\x43\xa1\x01\x0a\xa2\x04\x49"
_PARTIAL_IV = const(6)
_BYTES = const(0x40)
_BYTES_UINT8 = const(0x58)
_BYTES_UINT16 = const(0x59)
_ENC_STRUCTURE = b"\x83\x68Encrypt0\x43\xa1\x01\x0a"  # ["Encrypt0", h'a1010a', external data]
OVERHEAD = 39  # the most that sealing adds to a plaintext: a boot of 4 bytes, a length of 2


def node_id(unique: bytes) -> bytes:
    """The 8 bytes that name a node: its chip's own id, with zeros on the left. Raises WireError for a longer one."""
    if not 1 <= len(unique) <= _ID:
        raise WireError("a chip id of {} bytes: expected 1 to 8".format(len(unique)))
    return bytes(_ID - len(unique)) + unique


def additional(message_class: str) -> bytes:
    """The Enc_structure of the message class `message_class`, one of MESSAGE_CLASSES."""
    if message_class not in MESSAGE_CLASSES:
        raise WireError("not a message class")
    return _ENC_STRUCTURE + bytes([_BYTES | len(message_class)]) + message_class.encode()


_ADDITIONAL = {message_class: additional(message_class) for message_class in MESSAGE_CLASSES}


def put_nonce(nonce: bytearray, context_iv: bytes, boot: int, seq: int) -> None:
    """Write into `nonce` the nonce of a message, 13 bytes."""
    nonce[:] = context_iv
    for place in range(3):
        nonce[12 - place] ^= seq >> 8 * place & 0xFF
    place = 9
    while boot:
        nonce[place] ^= boot & 0xFF
        boot >>= 8
        place -= 1


def put_header(buf: bytearray, key_id: bytes, boot: int, seq: int, length: int) -> int:
    """Write all of a message before its ciphertext, which is of `length` bytes; return where it begins.

    Raises WireError when the message would not fit, and for boot 0: a boot that is not counted would use a nonce twice.
    """
    if not 0 < boot < _BOOT_END:
        raise WireError("boot 0 can't seal: it is not counted")
    if not 0 <= seq < _SEQ_END:
        raise WireError("no sequence numbers are left in this boot")
    if length + OVERHEAD - _TAG > len(buf) or length > _MESSAGE:
        raise WireError("record does not fit its buffer")
    buf[0:8] = START
    buf[8:17] = key_id
    count = 1
    while boot >> 8 * count:
        count += 1
    buf[17] = _PARTIAL_IV
    buf[18] = _BYTES | count + _SEQ
    at = 19
    while count:
        count -= 1
        buf[at] = boot >> 8 * count & 0xFF
        at += 1
    buf[at] = seq >> 16
    buf[at + 1] = seq >> 8 & 0xFF
    buf[at + 2] = seq & 0xFF
    at += 3
    if length < 24:
        buf[at] = _BYTES | length
        return at + 1
    if length < 256:
        buf[at] = _BYTES_UINT8
        buf[at + 1] = length
        return at + 2
    buf[at] = _BYTES_UINT16
    buf[at + 1] = length >> 8
    buf[at + 2] = length & 0xFF
    return at + 3


class Header:
    """What a sealed message says openly. node_id, generation, boot, seq; start and length of its ciphertext.

    None of it is to be believed until the message has been opened.
    """

    def __init__(self, message: bytes) -> None:
        """Raises WireError unless `message` is a COSE_Encrypt0 of just this form, its shortest, and nothing more."""
        end = len(message)
        if end > _MESSAGE:
            raise WireError("over 1024 bytes")
        if end < 19 or bytes(message[0:8]) != START or message[17] != _PARTIAL_IV:
            raise WireError("not a sealed message")
        count = message[18] - _BYTES - _SEQ
        if not 1 <= count <= 4 or end < 19 + count + _SEQ + 1:
            raise WireError("not a sealed message")
        self.node_id = bytes(message[8:16])
        self.generation = message[16]
        at = 19 + count
        self.boot = int.from_bytes(bytes(message[19:at]), "big")
        if not message[19]:
            raise WireError("a boot that is 0 or has a shorter form")
        self.seq = int.from_bytes(bytes(message[at : at + _SEQ]), "big")
        at += _SEQ
        length = message[at] - _BYTES
        at += 1
        if not 0 <= length < 24:
            size = length - 23
            if size != 1 and size != 2:
                raise WireError("not a sealed message")
            length = int.from_bytes(bytes(message[at : at + size]), "big")
            at += size
            if length < (24 if size == 1 else 256):
                raise WireError("a length that has a shorter form")
        if length < _TAG or at + length != end:
            raise WireError("ends too early, or bytes after the message")
        self.start = at
        self.length = length


class Channel:
    """One direction of one node's key generation: seals and opens with the `aead` made for its AES key."""

    def __init__(self, aead: "Aead", context_iv: bytes, key_id: bytes) -> None:
        if len(context_iv) != _NONCE or len(key_id) != _KEY_ID:
            raise WireError("expected a Context IV of 13 bytes and a key id of 9")
        self._aead = aead
        self._context_iv = context_iv
        self._key_id = key_id
        self._nonce = bytearray(_NONCE)

    def seal(self, out: bytearray, message_class: str, boot: int, seq: int, plain: bytearray, length: int) -> int:
        """Write into `out` the message that carries the first `length` bytes of `plain`; return its length.

        A pair of boot and seq must never be used twice. Raises WireError.
        """
        at = put_header(out, self._key_id, boot, seq, length + _TAG)
        put_nonce(self._nonce, self._context_iv, boot, seq)
        return self._aead.encrypt(self._nonce, _ADDITIONAL[message_class], plain, length, out, at)

    def open(self, header: Header, message_class: str, message: bytes, out: bytearray) -> int:
        """Write into `out` the plaintext of `message`, whose header was read before; return its length.

        Returns -1, with nothing to be read from `out`, when the message is not of this key, this message class and this
        header, or not as it was sent. Whether it is new is for the caller to say.
        """
        if message_class not in _ADDITIONAL or header.length - _TAG > len(out):
            return -1
        put_nonce(self._nonce, self._context_iv, header.boot, header.seq)
        more = _ADDITIONAL[message_class]
        if not self._aead.decrypt(self._nonce, more, message, header.start, header.length, out):
            return -1
        length: int = header.length - _TAG
        return length
