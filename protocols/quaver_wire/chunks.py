"""Cuts a message into chunks that fit one Bluetooth packet, and puts it together again: strict, bounded, no I/O.

A chunk is one byte of head and a part of the message: bit 7 marks the first chunk, bit 6 the last, the rest counts
from 0 and wraps at 64. The first chunk carries the message's length in two bytes, big endian, behind its head. The
link keeps order and loses nothing within a connection, so whatever does not fit is a fault of the peer.
"""

from quaver_wire.fields import const

if False:  # types alone: never compiled
    from collections.abc import Iterator

SIZE_MIN = 20  # an ATT_MTU of 23, the least that Bluetooth allows, less ATT's three bytes
SIZE_MAX = 244  # and of 247
MESSAGE_MAX = 656  # a record of 640 bytes, the most that a node's journal takes, and what gatt.py puts before it

_FIRST = const(0x80)
_LAST = const(0x40)
_COUNT = const(0x3F)
_HEAD = const(1)
_FIRST_HEAD = const(3)


class ChunkError(ValueError):
    """What came is no chunk, or not the one that had to come."""


def split(message: bytes, size: int, buffer: bytearray, limit: int = MESSAGE_MAX) -> "Iterator[int]":
    """Write each chunk of `message` in turn to the start of `buffer` and yield its length.

    size: bytes a chunk may have, from 20 to 244, and no more than the buffer. limit: bytes of the longest message.
    Raises ChunkError.
    """
    length = len(message)
    if not 0 < length <= limit or not SIZE_MIN <= size <= len(buffer):
        raise ChunkError("message or chunk size is out of range")
    buffer[1] = length >> 8
    buffer[2] = length & 0xFF
    head = _FIRST_HEAD
    first = _FIRST
    count = at = 0
    while at < length:
        part = min(size - head, length - at)
        buffer[head : head + part] = message[at : at + part]
        at += part
        buffer[0] = first | (_LAST if at == length else 0) | count & _COUNT
        yield head + part
        count += 1
        head = _HEAD
        first = 0


class Assembler:
    """Puts one direction's messages together. Made once; `limit` is the longest message that it takes, in bytes."""

    def __init__(self, limit: int = MESSAGE_MAX) -> None:
        self._buffer = bytearray(limit)
        self.reset()

    def reset(self) -> None:
        """A new connection: forget what was begun."""
        self._length = 0  # of the message under way; 0 between messages
        self._at = 0
        self._count = 0

    def feed(self, chunk: bytes) -> "bytes | None":
        """Take one chunk; returns the message that it completes, else None. Raises ChunkError, and starts again."""
        try:
            return self._feed(chunk)
        except ChunkError:
            self.reset()
            raise

    def _feed(self, chunk: bytes) -> "bytes | None":
        size = len(chunk)
        if size < 2:
            raise ChunkError("empty chunk")
        head = chunk[0]
        if head & _FIRST:
            if self._length:
                raise ChunkError("message within a message")
            if size <= _FIRST_HEAD:
                raise ChunkError("empty chunk")
            self._length = chunk[1] << 8 | chunk[2]
            if not 0 < self._length <= len(self._buffer):
                raise ChunkError("message of {} bytes".format(self._length))
            part = _FIRST_HEAD
        else:
            if not self._length:
                raise ChunkError("chunk without a first one")
            part = _HEAD
        if head & _COUNT != self._count & _COUNT:
            raise ChunkError("chunk {} for {}".format(head & _COUNT, self._count & _COUNT))
        end = self._at + size - part
        if end > self._length or (end == self._length) != bool(head & _LAST):
            raise ChunkError("message length is wrong")
        self._buffer[self._at : end] = chunk[part:]
        self._at = end
        self._count += 1
        if not head & _LAST:
            return None
        self.reset()
        return bytes(memoryview(self._buffer)[:end])
