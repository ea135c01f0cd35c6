"""The fast decoder of what a seal held against the strict one: the same values, the same refusals."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver.messages import decoding
from quaver_wire import cbor, decoder
from quaver_wire.fields import MESSAGE_CLASSES, WireError

_RECORD = {"version": 2, "uptime_ms": 1 << 40, "quality": 3, "rms_g": 0.5, "zone": 1, "energy": [230.1, None, 4.0],
           "peaks": [29.5, 0.25], "bands": [0.5]}  # fmt: skip

# Far and near what is taken on the fast way: items of every kind, also such as no message may have.
numbers = st.one_of(st.integers(-(2**66), 2**66), st.integers(-3, 300))
items = st.one_of(numbers, st.none(), st.booleans(), st.floats(width=32), st.binary(max_size=9), st.text(max_size=4))
tags = st.builds(lambda: cbor2.CBORTag(4, [1, 2]))
values = st.one_of(items, st.lists(numbers, max_size=4), st.lists(items, max_size=4), tags)
maps = st.dictionaries(st.one_of(st.integers(0, 60), numbers, st.text(max_size=2)), values, max_size=6)


def _outcome(decode: Any, data: bytes, message_class: str) -> Any:
    """What it gives, its types too: 1 is not True, and not 1.0."""
    try:
        return repr(decode(data, message_class))
    except WireError as error:
        return type(error), str(error)


def _same(data: bytes, message_class: str = "telemetry") -> None:
    assert _outcome(decoding.decode, data, message_class) == _outcome(decoder.decode, data, message_class)


def _message() -> bytes:
    buffer = bytearray(400)
    return bytes(buffer[: cbor.encode(buffer, _RECORD, "telemetry")])


def test_ordinary_telemetry_goes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = decoder.decode(_message(), "telemetry")
    monkeypatch.setattr(decoder, "loads", lambda data: pytest.fail("the strict decoder was asked"))
    assert decoding.decode(_message(), "telemetry") == wanted


@given(maps, st.booleans(), st.sampled_from(MESSAGE_CLASSES))
def test_any_map_is_taken_or_refused_alike(found: dict[Any, Any], canonical: bool, message_class: str) -> None:
    _same(cbor2.dumps({0: 2, **found}, canonical=canonical), message_class)


@given(st.binary(max_size=40), st.sampled_from(MESSAGE_CLASSES))
def test_any_bytes_are_taken_or_refused_alike(data: bytes, message_class: str) -> None:
    _same(data, message_class)


def test_every_altered_byte_and_every_cut_is_taken_or_refused_alike() -> None:
    message = _message()
    for at in range(len(message)):
        _same(message[:at])
        for byte in range(256):
            _same(message[:at] + bytes([byte]) + message[at + 1 :])
    _same(message + b"\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"\xa2\x00\x02\x18\x07\x00",  # a key that has a shorter form
        b"\xa2\x00\x02\x07\x18\x01",  # a value that has one
        b"\xa3\x00\x02\x08\x00\x07\x00",  # keys out of order
        b"\xa3\x00\x02\x07\x00\x07\x01",  # a key twice
        b"\xbf\x00\x02\xff",  # of no told length
        b"\xa2\x00\x02\x18\x63\xc2\x49\x01" + bytes(8),  # a number of over 64 bits, under an unknown key
        b"\xa2\x00\x02\x18\x63\xd8\x1c\x81\xd8\x1d\x00",  # an array that holds itself
        b"\xa2\x00\x02\x18\x63" + b"\x98\x41" + bytes(65),  # an array that is too long
        b"\xa2\x00\x02\x18\x63" + b"\x59\x02\x01" + bytes(513),  # a string that is
        b"\xa2\x00\x02\x18\x63\x81\x81\x81\x81\x81\x00",  # nested too deep
        b"\xa2\x00\x02\x18\x63\x5b" + b"\x7f" + b"\xff" * 7,  # a length that is not there
        b"\xb8\x41" + b"".join(bytes([0x18, key] if key > 23 else [key]) + b"\x02" for key in range(65)),
    ],
)
def test_what_is_not_of_the_strict_form_is_refused_in_the_same_words(data: bytes) -> None:
    with pytest.raises(WireError):
        decoding.decode(data, "telemetry")
    _same(data)
