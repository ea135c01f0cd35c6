"""The wired link: the messages of gatt.py between a node and a gateway on a serial line, each in a frame.

    frame = 0 | COBS(direction (1) | message | CRC-32 (4, big endian)) | 0

COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999) leaves
no 0 in a frame, so one begins and ends wherever there is a 0, whatever came before. The CRC is that of ISO 3309, of
direction and message. The direction tells a peer's frame from the echo of one's own. What is no whole frame of the
peer is passed over, and what was said in it is said anew in the next connection.

Two messages more, without a tag, stand for what a radio does:

    uplink    HAIL, 10 bytes    who is there: what a node advertises (gatt.parse_service_data)
    downlink  BYE               the connection is over, or there is none to begin

A node hails again and again. A gateway answers each hail: with HELLO, which begins a connection, or with BYE.
"""

from binascii import crc32

from quaver_wire import gatt
from quaver_wire.fields import const

BAUDRATE = 115_200  # 8 data bits, no parity, one stop bit

NODE = 1  # directions
GATEWAY = 2

# Kinds, beside those of gatt.py
HAIL = 8
BYE = 7

UPLINK_MAX = 656  # bytes of a message: a record of 640, and what gatt.py and link.py put around it
DOWNLINK_MAX = gatt.CONTENT_MAX

_CRC = const(4)
_AROUND = const(5)  # direction and CRC
_BLOCK = const(254)  # bytes without a 0 that one byte of COBS can count


def frame_size(limit: int) -> int:
    """Bytes of the longest frame of a message of up to `limit` bytes."""
    return limit + _AROUND + (limit + _AROUND) // _BLOCK + 3


def put_frame(buffer: bytearray, direction: int, message: bytes) -> int:
    """Write the frame of `message` to the start of `buffer` (frame_size bytes at least); return where it ends."""
    data = bytes((direction,)) + message
    data += (crc32(data) & 0xFFFFFFFF).to_bytes(_CRC, "big")
    buffer[0] = 0
    end = 1
    at = 0
    while True:
        stop = data.find(b"\0", at)
        if stop < 0:
            stop = len(data)
        last = min(stop, at + _BLOCK)
        buffer[end] = last - at + 1
        buffer[end + 1 : end + 1 + last - at] = data[at:last]
        end += 1 + last - at
        if last == len(data):
            break
        at = last + (last == stop and last - at < _BLOCK)  # the 0 after a shorter block is in its count
    buffer[end] = 0
    return end + 1


def hail(state: int, node_id: bytes, waiting: int) -> bytes:
    """As gatt.put_advertisement: the state's bits, an id of 8 bytes, how many records wait."""
    return bytes((HAIL, state)) + node_id + bytes((min(waiting, 255),))


def parse_hail(message: bytes) -> "tuple[bytes, int, int] | None":
    """(node id, state, how many wait) of a HAIL; None for any other message."""
    return gatt.parse_service_data(message[1:]) if message[0] == HAIL else None


class Frames:
    """Finds the frames of one side among whatever a line brings. Made once.

    direction: of that side; limit: bytes of its longest message. broken: pieces between two 0 that were no frame.
    """

    def __init__(self, direction: int, limit: int) -> None:
        self._direction = direction
        self._buffer = bytearray(frame_size(limit) - 2)
        self._view = memoryview(self._buffer)
        self._end = 0
        self.broken = 0

    def feed(self, data: bytes) -> "list[bytes]":
        """Take bytes; return the messages that they complete."""
        found: "list[bytes]" = []
        at = 0
        while at < len(data):
            stop = data.find(b"\0", at)
            part = data[at:stop] if stop >= 0 else data[at:]
            end = self._end + len(part)
            if end <= len(self._buffer):
                self._buffer[self._end : end] = part
            self._end = min(end, len(self._buffer) + 1)  # one more: too long
            if stop < 0:
                break
            message = self._take() if self._end else b""
            if message:
                found.append(message)
            at = stop + 1
        return found

    def _take(self) -> bytes:
        """The message of what is held, which a 0 has ended; empty for none, and for one of the other side."""
        end = self._unstuffed() - _CRC
        self._end = 0
        if end < 2 or crc32(self._view[:end]) & 0xFFFFFFFF != int.from_bytes(self._view[end : end + _CRC], "big"):
            self.broken += 1
            return b""
        return bytes(self._view[1:end]) if self._buffer[0] == self._direction else b""

    def _unstuffed(self) -> int:
        """Undo COBS where it stands; returns the length, 0 for what is none."""
        buffer = self._buffer
        end = self._end
        if end > len(buffer):
            return 0
        at = to = 0
        while at < end:
            count = buffer[at] - 1
            at += 1
            if at + count > end:
                return 0
            buffer[to : to + count] = self._view[at : at + count]
            to += count
            at += count
            if count < _BLOCK and at < end:
                buffer[to] = 0
                to += 1
        return to
