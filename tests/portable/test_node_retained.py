"""What lives through a deep sleep, as bytes: the same after it, and nothing of what is not whole."""

import pytest

from node import retained
from node.entry import Entry

VALUES = [[1, None, True, {"rms": 1}], [5, 7], "text"]
NUMBERS = [0.5, -2.0]
ENTRIES = [Entry("telemetry", 3, 17, b"sealed"), Entry("event", 3, 18, b"too")]


def packed(size: int = 2048) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: retained.pack(buffer, VALUES, NUMBERS, ENTRIES)])


def test_it_comes_back_as_it_was() -> None:
    assert retained.unpack(packed()) == (VALUES, NUMBERS, ENTRIES)


@pytest.mark.parametrize("at", [0, 3, 20, -5, -1])
def test_a_changed_byte_makes_all_of_it_void(at: int) -> None:
    data = bytearray(packed())
    data[at] ^= 1
    assert retained.unpack(bytes(data)) is None


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0", bytes(64)])
def test_what_another_start_left_is_none_of_it(data: bytes) -> None:
    assert retained.unpack(data) is None


def test_what_has_no_room_is_not_packed_in_part() -> None:
    assert packed(64) == b""
