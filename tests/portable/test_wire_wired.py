"""The frames of the wired link: whatever a line makes of what is sent, a whole frame is found, and nothing else."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quaver_wire import gatt, wired
from tests.programs import program

# COBS has its edges at runs of 254 bytes without a 0.
runs = st.builds(
    lambda before, size, after: b"\x01" * before + b"\x02" * size + after,
    st.integers(1, 9),
    st.integers(240, 520),
    st.binary(max_size=9),
)
messages = st.binary(min_size=1, max_size=40) | runs
noise = st.binary(max_size=60) | st.sampled_from([b"\0", b"\0\0", b"\xff" * 300])


def frame(message: bytes, direction: int = wired.NODE) -> bytes:
    buffer = bytearray(wired.frame_size(len(message)))
    end = wired.put_frame(buffer, direction, message)
    return bytes(buffer[:end])


def fed(data: bytes, sizes: list[int], frames: wired.Frames | None = None) -> list[bytes]:
    frames = frames or wired.Frames(wired.NODE, wired.UPLINK_MAX)
    found, at = [], 0
    for size in [*sizes, len(data)]:
        found += frames.feed(data[at : at + size])
        at += size
    return found


@given(st.lists(messages, min_size=1, max_size=3), st.lists(st.integers(1, 50), max_size=20))
def test_a_message_arrives_however_it_is_cut(sent: list[bytes], sizes: list[int]) -> None:
    data = [frame(message) for message in sent]
    assert all(b"\0" not in one[1:-1] and one[0] == one[-1] == 0 for one in data)
    assert fed(b"".join(data), sizes) == sent


@given(noise, messages, noise, st.lists(st.integers(1, 50), max_size=9))
def test_noise_before_and_after_costs_no_frame(before: bytes, message: bytes, after: bytes, sizes: list[int]) -> None:
    frames = wired.Frames(wired.NODE, wired.UPLINK_MAX)
    assert fed(before + frame(message) + after + frame(b"next"), sizes, frames) == [message, b"next"]


@given(messages, st.data())
def test_a_frame_that_is_not_whole_is_none_and_the_next_one_is(message: bytes, data: Any) -> None:
    whole = frame(message)
    at = data.draw(st.integers(1, len(whole) - 2))
    changed = whole[:at] + bytes((whole[at] ^ data.draw(st.integers(1, 255)),)) + whole[at + 1 :]
    for wrong in (changed, whole[:at], whole[:at] + whole):
        found = fed(wrong + frame(b"next"), [])
        assert found[-1] == b"next" and set(found[:-1]) <= {message} and (wrong is changed) <= (len(found) == 1)


def test_an_echo_is_passed_over_and_too_long_a_frame_is_no_frame() -> None:
    frames = wired.Frames(wired.GATEWAY, 20)
    assert frames.feed(frame(b"mine") + frame(b"yours", wired.GATEWAY)) == [b"yours"] and frames.broken == 0
    assert frames.feed(frame(bytes(40), wired.GATEWAY)) == [] and frames.broken == 1
    assert frames.feed(frame(b"yours", wired.GATEWAY)) == [b"yours"]


def test_a_hail_says_what_an_advertisement_says_and_no_kind_has_two_meanings() -> None:
    node_id = bytes(range(8))
    assert wired.parse_hail(wired.hail(gatt.SECRET | gatt.ALARM, node_id, 300)) == (node_id, 6, 255)
    assert wired.parse_hail(wired.hail(0, node_id, 3)[:-1]) is None
    assert wired.parse_hail(gatt.time_message(0)) is None
    assert wired.HAIL not in (gatt.END, *range(1, 5), gatt.WANT, gatt.CHALLENGE, gatt.REFUSED)
    assert wired.BYE not in (gatt.TIME, gatt.ACK, gatt.COMMAND, gatt.CONTENT, gatt.ABSENT, gatt.HELLO)


def test_micropython_makes_and_finds_the_same_frames(micropython: Callable[..., Any]) -> None:
    sent = [bytes([1]) * size for size in (1, 248, 249, 250, 503, 504)] + [b"\x01\0\0\x02\0", bytes(600)]
    said = micropython(program(__file__, "frames"), argument=[message.hex() for message in sent])
    assert said == [[frame(message).hex() for message in sent], [message.hex() for message in sent]]
