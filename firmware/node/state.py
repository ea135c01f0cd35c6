"""The state file of a log: where reading and writing stand, the runs of records given up, the newest entries.

u16 mark, u16 number of runs (and 0x8000 where bytes of the log made no sense and it is not yet known what they were),
nine u32 (segment and offset to read at, segment and size to write at, how many entries segments hold; boot and seq of
the last entry that left; boot and seq of the floor), each run as three u32, CRC-32 of all that; then whole entries.
Little-endian.
"""

from binascii import crc32
from struct import pack_into, unpack_from

from micropython import const

from node import entry as codec
from node.room import opened

RUNS_MAX = 16

_MAX = const(512)
_HEAD = const(40)
_MARK = const(0x514A)
_RUNS_SPARE = const(4)  # room for them is kept beside what is staged
_TORN = const(32768)


def room(gaps: list[int]) -> int:
    """Bytes of entries that a state has room for beside these gaps."""
    return _MAX - _HEAD - 4 - 4 * max(len(gaps), 3 * _RUNS_SPARE)


def write(
    path: str, buffer: bytearray, numbers: tuple[int, ...], gaps: list[int], torn: bool, entries: list[codec.Entry]
) -> None:
    """Put a state on flash; numbers: the nine, in order; gaps: flat, of which no more than 16 runs. Raises OSError."""
    runs = min(len(gaps) // 3, RUNS_MAX)
    pack_into("<HH9I", buffer, 0, _MARK, runs | (_TORN if torn else 0), *numbers)
    at = _HEAD
    for i in range(3 * runs):
        pack_into("<I", buffer, at, gaps[i])
        at += 4
    pack_into("<I", buffer, at, crc32(memoryview(buffer)[:at]))
    at += 4
    for entry in entries:
        at = codec.pack(entry, buffer, at)
    with opened(path, "wb") as file:
        file.write(memoryview(buffer)[:at])


def read(path: str, buffer: bytearray) -> tuple:
    """(numbers, gaps, torn, entries, damaged: bytes that made no sense), or (None, damaged) for no state at all."""
    try:
        with opened(path, "rb") as file:
            end = file.readinto(buffer)
    except OSError:
        return None, 0
    if end < _HEAD + 4:
        return None, end
    mark, runs = unpack_from("<HH", buffer, 0)
    torn = runs > RUNS_MAX
    runs &= _TORN - 1
    at = _HEAD + 12 * runs
    if mark != _MARK or at + 4 > end or crc32(memoryview(buffer)[:at]) != unpack_from("<I", buffer, at)[0]:
        return None, end
    numbers = unpack_from("<9I", buffer, 4)
    gaps = list(unpack_from("<{}I".format(3 * runs), buffer, _HEAD))
    entries = []
    at += 4
    while at < end:
        size = codec.whole(buffer, at, end)
        if not size:
            break
        entries.append(codec.unpack(buffer, at, size))
        at += size
    return numbers, gaps, torn, entries, end - at
