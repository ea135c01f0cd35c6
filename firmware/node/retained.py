"""What lives through a deep sleep, as bytes: numbers and texts by JSON, the trend's numbers, records that wait.

u16 mark, u16 bytes of JSON, u16 how many numbers, u16 bytes of records; these three, the records as of node.entry, and
a CRC-32 of all of it. Little-endian; numbers are binary32, which an ESP32's own are.
"""

import json
from binascii import crc32
from struct import pack_into, unpack_from

from micropython import const

from node import entry as codec

if False:  # types alone: never compiled
    from typing import Any

_MARK = const(0x5176)  # of a wake that is to measure alone: main.py knows it; one more where it is to send, too
_HEAD = const(8)


def pack(
    buffer: bytearray, values: "Any", numbers: list[float], entries: "list[codec.Entry]", sends: bool = False
) -> int:
    """Write it all to `buffer`; returns the end, or 0 when there is not so much room.

    sends: the wake is to send, too.
    """
    text = json.dumps(values).encode()
    start = _HEAD + len(text)
    end = start + 4 * len(numbers)
    size = sum(len(entry.payload) + codec.EXTRA for entry in entries)
    if end + size + 4 > len(buffer):
        return 0
    pack_into("<HHHH", buffer, 0, _MARK + sends, len(text), len(numbers), size)
    buffer[_HEAD:start] = text
    for number in numbers:
        pack_into("<f", buffer, start, number)
        start += 4
    for entry in entries:
        end = codec.pack(entry, buffer, end)
    pack_into("<I", buffer, end, crc32(memoryview(buffer)[:end]))
    return end + 4


def unpack(data: bytes) -> "tuple[Any, list[float], list[codec.Entry]] | None":
    """(values, numbers, entries) as `pack` had them; None for what is not whole."""
    if len(data) < _HEAD + 4:
        return None
    mark, length, count, size = unpack_from("<HHHH", data, 0)
    start = _HEAD + length
    at = start + 4 * count
    end = at + size
    if (
        mark not in (_MARK, _MARK + 1)
        or end + 4 != len(data)
        or crc32(memoryview(data)[:end]) != unpack_from("<I", data, end)[0]
    ):
        return None
    entries = []
    buffer = bytearray(data)
    while at < end:
        whole = codec.whole(buffer, at, end)
        if not whole:
            return None
        entries.append(codec.unpack(buffer, at, whole))
        at += whole
    try:
        values = json.loads(data[_HEAD:start])
    except ValueError:  # a number that JSON has no word for
        return None
    return values, list(unpack_from("<{}f".format(count), data, start)), entries
