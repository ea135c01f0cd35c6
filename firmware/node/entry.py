"""An entry of the journal, as bytes: 0xA0 + message class, u16 length, u32 boot, u32 seq, the payload, CRC-32 of these;
little-endian."""

from binascii import crc32
from collections import namedtuple
from struct import pack_into, unpack_from

from micropython import const

RECORD_CLASSES = ("telemetry", "event", "status", "answer")
EXTRA = 15  # bytes beside the payload: head and CRC
LONGEST = 663  # bytes: a payload of 640, and 8 of whose it is at a gateway

_MARK = const(0xA0)
_HEAD = const(11)

Entry = namedtuple("Entry", ("message_class", "boot", "seq", "payload"))


def whole(buffer: bytearray, at: int, end: int) -> int:
    """The length of the valid entry at `at`, of which nothing lies behind `end`, or 0."""
    if end - at < EXTRA or buffer[at] & 0xFC != _MARK:
        return 0
    stop = at + _HEAD + unpack_from("<H", buffer, at + 1)[0]
    if stop + 4 > end or crc32(memoryview(buffer)[at:stop]) != unpack_from("<I", buffer, stop)[0]:
        return 0
    return stop + 4 - at


def unpack(buffer: bytearray, at: int, size: int) -> Entry:
    """The valid entry at `at`, `size` bytes of it."""
    mark, _, boot, seq = unpack_from("<BHII", buffer, at)
    return Entry(RECORD_CLASSES[mark & 3], boot, seq, bytes(memoryview(buffer)[at + _HEAD : at + size - 4]))


def pack(entry: Entry, buffer: bytearray, at: int) -> int:
    """Write an entry at `at`; returns the end."""
    size = len(entry.payload)
    pack_into("<BHII", buffer, at, _MARK | RECORD_CLASSES.index(entry.message_class), size, entry.boot, entry.seq)
    stop = at + _HEAD + size
    buffer[at + _HEAD : stop] = entry.payload
    pack_into("<I", buffer, stop, crc32(memoryview(buffer)[at:stop]))
    return stop + 4
