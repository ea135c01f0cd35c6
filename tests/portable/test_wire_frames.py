"""The serial frames: found among anything, whole or not at all, in bounded memory, on both sides alike."""

import random
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quaver_wire.frames import MESSAGE_MAX, SESSION, Frames, improv_frame, session_frame
from tests.programs import program

HELLO = session_frame(b"hello")
JOIN = improv_frame(3, b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword")

noise = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([b"QUAVER:", b"IMPROV", b"IMPROV\x01\x03", b"IMPROV\x01\x04\xff", b"node: online\r\n", b">>> "]),
    max_size=6,
).map(b"".join)


def pieces(data: bytes, sizes: list[int]) -> list[tuple[int, bytes]]:
    frames, found, at = Frames(), [], 0
    for size in sizes:
        found += frames.feed(data[at : at + size])
        at += size
    found += frames.feed(data[at:])
    return found + frames.idle()


def test_improv_packets_are_as_published() -> None:
    """improv-wifi.com/serial: the header's ten bytes, and the example of its Wi-Fi command."""
    assert JOIN[:9] == b"IMPROV\x01\x03\x20"
    assert JOIN[-1] == sum(JOIN[:-1]) % 256
    assert improv_frame(1, b"\x02") == bytes.fromhex("494d50524f56 01 01 01 02 e2")
    assert Frames().feed(JOIN) == [(3, b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword")]


@given(st.binary(max_size=MESSAGE_MAX), st.lists(st.integers(1, 50), max_size=20))
def test_a_message_arrives_however_it_is_cut(message: bytes, sizes: list[int]) -> None:
    frame = session_frame(message)
    assert b"\x03" not in frame and frame.endswith(b"\n")
    assert pieces(b"node: x\r\n" + frame + b">>> ", sizes) == [(SESSION, message)]


@given(noise, noise, st.lists(st.integers(1, 30), max_size=10))
def test_noise_costs_no_frame(before: bytes, after: bytes, sizes: list[int]) -> None:
    """What begins in the noise may swallow the frames behind it only until it is seen to be wrong."""
    found = pieces(before + HELLO + JOIN + after, sizes)
    wanted = [(SESSION, b"hello"), (3, JOIN[9:-1])]
    # A sum of 8 bits is right for one in 256 of what looks like an Improv packet.
    assume(all(item in wanted for item in found))
    assert found == wanted


@pytest.mark.parametrize(
    "wrong",
    [
        HELLO[:-3] + b"A\n",
        HELLO.replace(b"\n", b"=\n"),
        b"QUAVER:\n",
        b"QUAVER:" + b"A" * 5000 + b"\n",
        b"QUAVER:aGVsbG8\n",
        b"IMPROV\x02\x03\x00\x00",
        b"IMPROV\x01\x05\x00\x00",
        b"IMPROV\x01\x00\x00\x00",
        JOIN[:-1] + b"\x00",
    ],
    ids=["crc", "padding", "empty", "giant", "no padding", "version", "type 5", "type 0", "sum"],
)
def test_a_wrong_frame_is_counted_once_and_nothing_else(wrong: bytes) -> None:
    frames = Frames()
    assert frames.feed(wrong) + frames.idle() == []
    assert frames.refused == 1
    assert frames.feed(HELLO) == [(SESSION, b"hello")]


def test_a_frame_that_breaks_off_ends_at_the_next_magic_or_a_silence() -> None:
    frames = Frames()
    assert frames.feed(HELLO[:-4] + HELLO) == [(SESSION, b"hello")]
    assert frames.feed(JOIN[:20] + HELLO) == []  # 20 of 43 bytes: the line behind it counts as its data
    assert frames.idle() == [(SESSION, b"hello")]
    assert frames.refused == 2


def test_a_ctrl_c_is_seen_outside_of_frames_alone() -> None:
    frames = Frames()
    frames.feed(JOIN)
    frames.feed(HELLO)
    assert not frames.interrupted
    frames.feed(b"x\x03")
    assert frames.interrupted


def hostile(count: int, seed: int) -> list[bytes]:
    """Frames that are random behind their magic, or ours with an altered byte, cut or repeated."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        kind = chance.randrange(4)
        if kind == 0:
            made.append(b"QUAVER:" + chance.randbytes(chance.randrange(12)) + b"\n")
        elif kind == 1:
            made.append(b"IMPROV" + chance.randbytes(chance.randrange(16)))
        elif kind == 2:
            frame = bytearray(chance.choice((HELLO, JOIN)))
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            made.append(bytes(frame))
        else:
            made.append(chance.randbytes(chance.randrange(20)))
    return made


@pytest.mark.long
def test_a_hundred_thousand_hostile_frames() -> None:
    """None is taken for one of ours but where the altered bit lies outside the frame's check, none is kept."""
    frames, held = Frames(), 0
    batch = hostile(20_000, seed=7)
    for _ in range(5):
        for frame in batch:
            for kind, data in frames.feed(frame):
                assert kind != SESSION or data == b"hello"
            held = max(held, len(frames._held))
    assert held <= 3400
    assert frames.refused > 50_000


def test_micropython_takes_the_same_and_keeps_its_heap(micropython: Callable[..., Any]) -> None:
    batch = b"".join(hostile(3000, seed=8)) + HELLO
    frames, expected = Frames(), []
    for start in range(0, len(batch), 1000):
        expected += frames.feed(batch[start : start + 1000])
    expected += frames.idle()
    found = micropython(
        program(__file__, "frames"),
        argument=b64encode(batch).decode(),
        heap="300k",
    )
    assert found == [len(expected), frames.refused, frames.interrupted, [[0, "hello"]], 0]
