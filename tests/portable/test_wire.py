"""The encoder against cbor2, the reference: on CPython, and the same bytes from the real MicroPython."""

import math
import struct
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver_wire import cbor
from quaver_wire.fields import FIELDS

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = {
    "u": st.integers(0, 2**64 - 1),
    "f": floats,
    "t": st.text(max_size=20),
    "a": st.lists(floats, max_size=20),
}
records = st.fixed_dictionaries({}, optional={name: VALUES[kind] for _, name, kind in FIELDS})


def encode(record: dict[str, Any]) -> bytes:
    buffer = bytearray(4096)
    return bytes(buffer[: cbor.encode(buffer, record)])


@given(records)
def test_cbor2_reads_back_what_was_encoded(record: dict[str, Any]) -> None:
    keys = {name: key for key, name, _ in FIELDS}
    assert cbor2.loads(encode(record)) == {keys[name]: value for name, value in record.items()}


@given(st.integers(0, 2**64 - 1))
def test_integers_take_the_shortest_form(value: int) -> None:
    assert encode({"seq": value}) == cbor2.dumps({4: value})


def test_values_that_are_not_finite_are_absent() -> None:
    record = {"rms_g": math.nan, "peak_g": math.inf, "crest": None, "energy": [1.0, math.nan], "seq": 1}
    assert cbor2.loads(encode(record)) == {4: 1}


def test_long_text_is_cut_between_characters() -> None:
    (text,) = cbor2.loads(encode({"text": "a" + "é" * 60})).values()
    assert text == "a" + "é" * 47


@pytest.mark.parametrize(
    "record", [{"seq": -1}, {"seq": 2**64}, {"no such field": 1}, {"text": "x" * 90, "subject": "y" * 90}]
)
def test_what_does_not_fit_the_wire_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(cbor.WireError):
        cbor.encode(bytearray(64), record)


def test_micropython_makes_the_same_bytes(micropython: Callable[..., Any]) -> None:
    record = {
        "version": 1,
        "seq": 70000,
        "uptime_ms": 2**33,
        "rms_g": struct.unpack(">f", struct.pack(">f", 0.1))[0],
        "node": "pümp",
        "peaks": [1.5, 2.25],
        "text": "a" + "é" * 60,
    }
    program = (
        "from quaver_wire import cbor\nb = bytearray(512)\nprint(json.dumps(list(b[:cbor.encode(b, argument)])))\n"
    )
    assert bytes(micropython(program, argument=record)) == encode(record)
    refused = (
        "from quaver_wire import cbor\n"
        "try:\n  cbor.encode(bytearray(8), argument)\nexcept cbor.WireError as e:\n  print(json.dumps(str(e)))\n"
    )
    assert "fit" in micropython(refused, argument=record)
