"""Chunks and the link's messages: whatever is cut comes together again, and nothing else does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver_wire import chunks, gatt
from tests.programs import program

messages = st.binary(min_size=1, max_size=chunks.MESSAGE_MAX)
sizes = st.integers(chunks.SIZE_MIN, chunks.SIZE_MAX)
ids = st.binary(min_size=8, max_size=8)


def cut(message: bytes, size: int) -> list[bytes]:
    buffer = bytearray(chunks.SIZE_MAX)
    return [bytes(buffer[:length]) for length in chunks.split(message, size, buffer)]


@given(st.lists(messages, min_size=1, max_size=3), sizes)
def test_messages_come_together_again(sent: list[bytes], size: int) -> None:
    assembler = chunks.Assembler()
    got = []
    for message in sent:
        pieces = cut(message, size)
        assert max(map(len, pieces)) <= size
        found = [assembler.feed(piece) for piece in pieces]
        assert found[:-1] == [None] * (len(found) - 1)
        got.append(found[-1])
    assert got == sent


@given(messages.filter(lambda m: len(m) > 60), sizes.filter(lambda n: n < 60), st.data())
def test_a_chunk_that_is_missing_doubled_or_swapped_is_refused(message: bytes, size: int, data: Any) -> None:
    pieces = cut(message, size)
    at = data.draw(st.integers(0, len(pieces) - 2))
    wrong = {
        "missing": pieces[:at] + pieces[at + 1 :],
        "doubled": pieces[: at + 1] + pieces[at:],
        "swapped": [*pieces[:at], pieces[at + 1], pieces[at], *pieces[at + 2 :]],
    }
    for tampered in wrong.values():
        assembler = chunks.Assembler()
        with pytest.raises(chunks.ChunkError):
            for piece in tampered:
                assembler.feed(piece)
        whole = [assembler.feed(piece) for piece in pieces]
        assert whole[-1] == message  # and it is ready for the next


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_is_refused_and_bounded(garbage: list[bytes]) -> None:
    assembler = chunks.Assembler(64)
    for chunk in garbage:
        try:
            message = assembler.feed(chunk)
        except chunks.ChunkError:
            continue
        assert message is None or 0 < len(message) <= 64


def test_a_message_over_the_limit_is_refused_at_its_first_chunk() -> None:
    assembler = chunks.Assembler(100)
    with pytest.raises(chunks.ChunkError, match="101 bytes"):
        assembler.feed(cut(bytes(101), 20)[0])


@given(ids, st.integers(0, 3), st.integers(0, 1000))
def test_an_advertisement_is_read_back(node_id: bytes, state: int, waiting: int) -> None:
    buffer = bytearray(gatt.ADVERTISEMENT)
    gatt.put_advertisement(buffer, node_id, state, waiting)
    assert gatt.parse_advertisement(bytes(buffer)) == (node_id, state, min(waiting, 255))


@given(st.binary(max_size=40))
def test_other_advertisements_are_nobody(data: bytes) -> None:
    assert gatt.parse_advertisement(data) is None


@given(st.sampled_from(gatt.RECORD_CLASSES[1:]), st.integers(0, 65535), st.binary(min_size=1, max_size=512))
def test_uplink_messages_are_read_back(message_class: str, number: int, payload: bytes) -> None:
    kind, read, rest = gatt.parse_uplink(gatt.record(message_class, number, payload))
    assert (gatt.RECORD_CLASSES[kind], read, rest) == (message_class, number, payload)


@given(ids, st.integers(0, 65535), st.binary(min_size=1, max_size=1024))
def test_what_is_wanted_of_a_release_is_read_back(digest: bytes, number: int, chunk: bytes) -> None:
    assert gatt.parse_uplink(gatt.want(digest, number)) == (gatt.WANT, number, digest)
    content = gatt.content(number, chunk)
    assert gatt.parse_downlink(content) == (gatt.CONTENT, number, chunk) and len(content) <= gatt.CONTENT_MAX
    assert gatt.parse_downlink(gatt.absent(gatt.LATER)) == (gatt.ABSENT, gatt.LATER, b"")


@given(st.integers(0, 2**64 - 1), st.integers(0, 65535), st.binary(min_size=1, max_size=512))
def test_downlink_messages_are_read_back(unix_ms: int, number: int, sealed: bytes) -> None:
    assert gatt.parse_downlink(gatt.time_message(unix_ms)) == (gatt.TIME, unix_ms, b"")
    assert gatt.parse_downlink(gatt.ack(number)) == (gatt.ACK, number, b"")
    assert gatt.parse_downlink(gatt.command(sealed)) == (gatt.COMMAND, 0, sealed)


@given(st.binary(min_size=1, max_size=20))
def test_other_messages_raise_one_error(message: bytes) -> None:
    for parse in (gatt.parse_uplink, gatt.parse_downlink):
        try:
            parse(message)
        except ValueError:
            continue


def test_micropython_makes_the_same_bytes(micropython: Callable[..., Any]) -> None:
    message = bytes(range(200)) * 2
    code = program(__file__, "chunks")
    buffer = bytearray(gatt.ADVERTISEMENT)
    gatt.put_advertisement(buffer, b"12345678", 3, 300)
    expected = [[c.hex() for c in cut(message, 20)], True, buffer.hex(), True, gatt.time_message(1700000000000).hex()]
    assert micropython(code) == json.loads(json.dumps(expected))
