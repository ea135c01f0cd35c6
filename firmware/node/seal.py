"""AES-CCM on the AES of the chip's own firmware: what seals a node's messages and opens its commands.

CCM (RFC 3610, NIST SP 800-38C) with a nonce of 13 bytes, a tag of 8 and lengths of 2: AES-CCM-16-64-128 of RFC 9053.
A message costs two calls of AES: one ECB over all counter blocks, one CBC over all that the tag covers. The key is set
up once: a CBC object that has been used goes on from its last block, so that block is XORed into the next first one,
and the chain begins from zero again.
"""

import micropython
from cryptolib import aes
from micropython import const

from quaver_wire.cose import Channel
from quaver_wire.fields import WireError

_ECB = const(1)
_CBC = const(2)
_TAG = const(8)
_BLOCK = const(16)
_DATA_FLAGS = const(0x59)  # additional data 0x40, tag (8 - 2) / 2 << 3, lengths of 2 bytes 1 (RFC 3610, 2.2)
_COUNTER_FLAGS = const(0x01)
_ADDITIONAL = const(48)  # room for the additional data and its length: the longest Enc_structure takes 26


@micropython.viper
def _exclusive(out: ptr8, at: int, a: ptr8, a_at: int, b: ptr8, b_at: int, count: int):
    for i in range(count):
        out[at + i] = a[a_at + i] ^ b[b_at + i]


@micropython.viper
def _copy(out: ptr8, at: int, a: ptr8, count: int):
    for i in range(count):
        out[at + i] = a[i]


@micropython.viper
def _counters(blocks: ptr8, nonce: ptr8, count: int):
    at = 0
    for block in range(count):
        blocks[at] = _COUNTER_FLAGS
        for i in range(13):
            blocks[at + 1 + i] = nonce[i]
        blocks[at + 14] = block >> 8
        blocks[at + 15] = block & 0xFF
        at += 16


_before = bytearray(_BLOCK)
_ZEROS = bytes(_BLOCK)

# to work in: of all ciphers, none of which keeps anything there
_data = bytearray()
_stream = bytearray()


def _scratch(room):
    global _data, _stream
    if len(_stream) < _BLOCK + room:
        _data = bytearray(_BLOCK + _ADDITIONAL + room)
        _stream = bytearray(_BLOCK + room)
    return _data, _stream


class Ccm:
    """key: 16 bytes; longest: bytes of plaintext. Has the verbs that quaver_wire.cose asks of a cipher."""

    def __init__(self, key, longest=512):
        self._longest = longest
        self._ecb = aes(key, _ECB)
        self._cbc = aes(key, _CBC, bytes(_BLOCK))
        self._last = bytearray(_BLOCK)
        self._data, self._stream = _scratch((longest + _BLOCK - 1) // _BLOCK * _BLOCK)

    def encrypt(self, nonce, additional, plain, length, out, at):
        """Write the ciphertext of `plain` and its tag to `out` at `at`; return the end."""
        end = at + length + _TAG
        if length > self._longest or length > len(plain) or end > len(out):  # viper would not notice
            raise WireError("record does not fit its buffer")
        self._keystream(nonce, length)
        tag = self._tag(nonce, additional, plain, length)
        _exclusive(out, at, plain, 0, self._stream, _BLOCK, length)
        _exclusive(out, at + length, self._data, tag, self._stream, 0, _TAG)
        return end

    def decrypt(self, nonce, additional, data, at, length, out):
        """Write the plaintext to `out` and return True; where the tag is wrong, zeros and False."""
        length -= _TAG
        if not 0 <= length <= self._longest or length > len(out):
            return False
        self._keystream(nonce, length)
        _exclusive(out, 0, data, at, self._stream, _BLOCK, length)
        tag = self._tag(nonce, additional, out, length)
        wrong = 0
        for i in range(_TAG):  # all of it, whatever the first byte says: the time tells nothing
            wrong |= self._data[tag + i] ^ self._stream[i] ^ data[at + length + i]
        if wrong:
            _exclusive(out, 0, out, 0, out, 0, length)  # zeros
        return not wrong

    def _keystream(self, nonce, length):
        count = (length + _BLOCK - 1) // _BLOCK + 1
        _counters(self._stream, nonce, count)
        part = memoryview(self._stream)[: count * _BLOCK]
        self._run(self._ecb, part, 0)

    def _run(self, cipher, part, at):
        """Encrypt in place. Raises MemoryError.

        An ESP32's AES takes memory of ESP-IDF for its DMA; without, it leaves zeros or what was there (ESP-IDF,
        esp_aes_dma_core.c), and MicroPython's cryptolib does not say so. The block at `at` shows it.
        """
        block = part[at : at + _BLOCK]
        _before[:] = block
        cipher.encrypt(part, part)
        if block in (_before, _ZEROS):
            raise MemoryError("no memory for AES")

    def _tag(self, nonce, additional, plain, length):
        """Run CBC over the whole; return where in `_data` the tag lies, not yet encrypted."""
        data = self._data
        more = len(additional)
        if more + 2 > _ADDITIONAL:
            raise WireError("additional data does not fit its buffer")
        data[0] = _DATA_FLAGS
        data[1:14] = nonce
        data[14] = length >> 8
        data[15] = length & 0xFF
        _exclusive(data, 0, data, 0, self._last, 0, _BLOCK)
        data[16] = 0
        data[17] = more
        at = 18 + more
        data[18:at] = additional
        at = self._pad(at)
        _copy(data, at, plain, length)
        at = self._pad(at + length)
        part = memoryview(data)[:at]
        at -= _BLOCK
        self._run(self._cbc, part, at)
        self._last[:] = memoryview(data)[at : at + _BLOCK]
        return at

    def _pad(self, at):
        while at & 15:
            self._data[at] = 0
            at += 1
        return at


def channel(device_key, node_id, generation, direction, longest=512):
    """The channel of one direction ("uplink", "downlink") of a key generation; device_key 32 bytes, node_id 8."""
    from quaver_wire.hkdf import derive

    key, context_iv = derive(device_key, direction, node_id, generation)
    return Channel(Ccm(key, longest), context_iv, node_id + bytes((generation,)))
