"""The encoder and the decoder against cbor2, the reference: on CPython, and the same from the real MicroPython."""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaver_wire import cbor
from quaver_wire.decoder import FieldError, VersionError, decode, loads
from quaver_wire.fields import COMMON, MESSAGE_CLASSES, TABLES, WireError
from quaver_wire.items import put_item
from quaver_wire.names import rows
from tests.programs import program

VECTORS = Path(__file__).resolve().parents[2] / "protocols" / "vectors"

uints = st.integers(0, 2**64 - 1)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
keys = st.one_of(st.integers(-(2**64), 2**64 - 1), texts)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64 - 1), st.floats(width=32), texts, st.binary(max_size=20)
)
# what the decoder takes: 4 levels
items = scalars
for _ in range(4):
    items = st.one_of(scalars, st.lists(items, max_size=5), st.dictionaries(keys, items, max_size=5))
results = st.dictionaries(texts, st.one_of(scalars, st.lists(scalars, max_size=5)), max_size=5)


def numbers(scale: int) -> st.SearchStrategy[float]:
    return st.integers(-(10**6), 10**6).map(lambda n: n if scale == 1 else n / scale)


def values(form: Any) -> st.SearchStrategy[Any]:
    letters = {
        "u": uints, "z": uints, "m": uints, "t": texts, "f": floats, "l": st.lists(uints, max_size=20),
        "b": st.binary(max_size=300),
    }  # fmt: skip
    if form == "o":
        return results
    if isinstance(form, str):
        return letters[form]
    return (
        st.integers(0, 4).flatmap(lambda n: st.tuples(*[st.one_of(st.none(), numbers(s)) for s in form * n])).map(list)
    )


@st.composite
def records(draw: Any) -> tuple[str, dict[str, Any]]:
    kind = draw(st.integers(0, len(MESSAGE_CLASSES) - 1))
    record: dict[str, Any] = {"version": 2, "kind": kind}
    for key, name, form in rows((*COMMON[6:], *TABLES[kind])):
        if name and draw(st.booleans()):
            record[name] = draw(values(form))
        elif not name:
            for member, scale in rows(form, 2):
                if draw(st.booleans()):
                    record[member] = draw(numbers(scale))
        assert key >= 0
    return MESSAGE_CLASSES[kind], record


def encode(record: dict[str, Any], message_class: str | None = None) -> bytes:
    buffer = bytearray(4096)
    return bytes(buffer[: cbor.encode(buffer, record, message_class)])


def item(value: Any) -> bytes:
    buffer = bytearray(4096)
    return bytes(buffer[: put_item(buffer, 0, value, 4)])


def same(a: Any, b: Any) -> bool:
    """Equal, with NaN equal to itself, 1.0 not to 1, and 0.0 not to -0.0."""
    return repr(a) == repr(b)


def ordered(value: Any) -> Any:
    """`value` with its maps in the order of their encoded keys: what comes from the wire."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value, key=lambda key: cbor2.dumps(key))}
    return [ordered(each) for each in value] if isinstance(value, list) else value


def reference(value: Any) -> bytes:
    """cbor2's bytes in the order of RFC 8949, 4.2.1: its own canonical form has shorter keys first (RFC 7049)."""
    if not isinstance(value, (dict, list)):
        return cbor2.dumps(value, canonical=True)
    head = bytearray(cbor2.dumps(len(value)))
    head[0] |= 5 << 5 if isinstance(value, dict) else 4 << 5
    if isinstance(value, list):
        return bytes(head) + b"".join(map(reference, value))
    return bytes(head) + b"".join(sorted(cbor2.dumps(key) + reference(each) for key, each in value.items()))


@given(records())
def test_a_record_comes_back_as_it_was(given_record: tuple[str, dict[str, Any]]) -> None:
    message_class, record = given_record
    back = decode(encode(record), message_class)
    unsaid = [name for _, name, form in rows(TABLES[MESSAGE_CLASSES.index(message_class)]) if form == "z"]
    record = {**dict.fromkeys(unsaid, 0), **record}
    for name in ("args", "result"):
        if name in record:
            record[name] = ordered(record[name])
    assert same(sorted(back.items()), sorted(record.items()))


@given(records())
def test_cbor2_reads_what_was_encoded_and_would_write_the_same(given_record: tuple[str, dict[str, Any]]) -> None:
    data = encode(given_record[1])
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data


def test_a_record_may_have_more_fields_than_a_maps_first_byte_counts() -> None:
    record: dict[str, Any] = {"version": 2, "kind": 0, "node": "n", "abstained": "no line"}
    record |= {name: 1 for _, name, form in rows((*COMMON[9:], *TABLES[0])) if form in ("u", "m", "z")}
    record |= {name: [1.0] * len(form) for _, name, form in rows(TABLES[0]) if name and isinstance(form, tuple)}
    record |= {name: 1 for _, none, form in rows(TABLES[0]) if not none for name, _ in rows(form, 2)}
    data = encode(record)
    assert data[0] == 0xB8 and data[1] > 23
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data
    assert decode(data)["current_a"] == 1.0 and decode(data)["pulses"] == 1
    with pytest.raises(WireError, match="does not fit its buffer"):
        cbor.encode(bytearray(len(data) - 1), record)


@given(items)
def test_items_are_those_of_cbor2(value: Any) -> None:
    data = reference(value)
    assert item(value) == data
    assert same(loads(data), cbor2.loads(data))


@pytest.mark.long
@settings(max_examples=5 * settings().max_examples)
@given(st.one_of(items.map(reference), st.binary(max_size=40)), st.data())
def test_what_is_taken_has_one_form_only(data: bytes, more: Any) -> None:
    """Whatever bytes the decoder takes, cbor2 reads the same from them, and writes the same bytes for that."""
    altered = bytearray(data)
    for _ in range(more.draw(st.integers(0, 3))):
        if altered:
            altered[more.draw(st.integers(0, len(altered) - 1))] = more.draw(st.integers(0, 255))
    try:
        value = loads(altered)
    except WireError:
        return
    assert same(value, cbor2.loads(bytes(altered)))
    assert reference(value) == bytes(altered)


def test_rfc_8949_appendix_a() -> None:
    """Every example of the standard: those in the subset read and write alike, every other is refused."""
    vectors = json.loads((VECTORS / "rfc8949_appendix_a.json").read_text())
    taken = 0
    for vector in vectors:
        data = bytes.fromhex(vector["hex"])
        if vector["taken"]:
            taken += 1
            assert same(loads(data), cbor2.loads(data)), vector
            assert item(loads(data)) == data, vector
        else:
            with pytest.raises(WireError):
                loads(data)
    assert (len(vectors), taken) == (81, 50)


def test_values_that_are_not_finite_are_absent() -> None:
    record = {"kind": 0, "rms_g": math.nan, "peak_g": math.inf, "crest": None, "energy": [1.0, math.nan], "seq": 1}
    assert cbor2.loads(encode(record)) == {1: 0, 4: 1, 10: [100, None]}
    assert cbor2.loads(encode({"value": math.nan, "code": 1}, "event")) == {20: 1}


def test_a_group_ends_with_its_last_value() -> None:
    assert cbor2.loads(encode({"kind": 0, "peak_g": 0.5, "skew": -0.5, "machine": 2})) == {
        1: 0, 9: [None, 10000, None, None, -50], 15: [2]
    }  # fmt: skip


def test_a_later_node_may_say_more() -> None:
    later = {0: 2, 1: 0, 9: [1] * 20, 300: {"x": [1, 2]}, "text": 5}
    record = decode(cbor2.dumps(later, canonical=True), "telemetry")
    assert record["shaft_confidence"] == 0.01
    assert len(record) == 2 + 11 + 2


def test_long_text_is_cut_between_characters() -> None:
    (text,) = cbor2.loads(encode({"text": "a" + "é" * 60}, "event")).values()
    assert text == "a" + "é" * 47


@pytest.mark.parametrize(
    "record",
    [
        {"kind": 0, "seq": -1},
        {"kind": 0, "seq": 2**64},
        {"kind": 0, "no such field": 1},
        {"kind": 0, "subject": "of an event"},
        {"kind": 1, "text": "x" * 90, "subject": "y" * 90},
        {"kind": 9},
        {"seq": 1},
        {"kind": 0, "uptime_ms": -1},
        {"kind": 0, "rms_g": "x"},
        {"kind": 0, "energy": 5},
        {"kind": 0, "spectrum": 5},
        {"kind": 0, "spectrum": "text"},
        {"kind": 0, "rms_g": 1e30},
        {"kind": 4, "result": {"a": object()}},
        {"kind": 4, "result": {"a": [[[1]]]}},
        {"kind": 4, "result": {1.5: 1}},
    ],
)
def test_what_does_not_fit_the_wire_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        cbor.encode(bytearray(64), record)


REFUSED = [
    ("", "too early"),
    ("1800", "shorter form"),
    ("190017", "shorter form"),
    ("1a00000017", "shorter form"),
    ("1b0000000000000017", "shorter form"),
    ("5800", "shorter form"),
    ("fa3f800000", "shorter form"),
    ("fa33800000", "shorter form"),
    ("fa7f800000", "shorter form"),
    ("f97e01", "NaN"),
    ("fa7fc00000", "NaN"),
    ("fb3ff0000000000000", "unsupported"),
    ("f7", "unsupported"),
    ("f820", "unsupported"),
    ("c000", "tag"),
    ("1c", "indefinite"),
    ("5f40ff", "indefinite"),
    ("9fff", "indefinite"),
    ("a201020101", "out of order"),
    ("a202000100", "out of order"),
    ("a161800080", "UTF-8"),
    ("a1f90000f6", "neither integer nor text"),
    ("a14000", "neither integer nor text"),
    ("a18000", "nested|neither"),
    ("5903e8", "512 bytes"),
    ("9841" + "00" * 65, "64 items"),
    ("9b7fffffffffffffff", "64 items"),
    ("bb7fffffffffffffff", "64 items"),
    ("8181818180", "nested"),
    ("0000", "1 bytes after"),
    ("00" * 1025, "1024 bytes"),
    ("61ff", "UTF-8"),
    ("62c080", "UTF-8"),
    ("63eda080", "UTF-8"),
    ("64f4908080", "UTF-8"),
    ("61c3", "UTF-8"),
    ("63e08080", "UTF-8"),
    ("64f0808080", "UTF-8"),
    ("64f5808080", "UTF-8"),
    ("6180", "UTF-8"),
    ("63e28228", "UTF-8"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
def test_refused_with_a_reason(data: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        loads(bytes.fromhex(data))


def test_a_part_of_a_buffer_is_read_and_nothing_beyond_it() -> None:
    data = encode({"version": 2, "kind": 1, "code": 3})
    buffer = bytearray(data + b"\x00" * 20)
    assert decode(memoryview(buffer), "event", len(data))["code"] == 3
    with pytest.raises(WireError, match="too early"):
        loads(buffer, len(data) - 1)


def test_versions_and_classes() -> None:
    with pytest.raises(VersionError, match="version 3: this quaver reads version 2"):
        decode(b"\xa1\x00\x03", "event")
    with pytest.raises(FieldError, match="no version"):
        decode(b"\xa0", "event")
    with pytest.raises(FieldError, match="kind is 1: expected 0"):
        decode(encode({"version": 2, "kind": 1}), "telemetry")
    with pytest.raises(FieldError, match="kind is None"):
        decode(encode({"version": 2}, "event"))
    with pytest.raises(FieldError, match="args is"):
        decode(b"\xa3\x00\x02\x18\x28\x01\x18\x2a\xa1\x01\x02", "command")


MICROPYTHON_ITEMS = program(__file__, "items")


def test_micropython_reads_and_writes_the_same(micropython: Callable[..., Any]) -> None:
    vectors = [v["hex"] for v in json.loads((VECTORS / "rfc8949_appendix_a.json").read_text())]
    expected: list[object] = []
    given_data = vectors + [data for data, _ in REFUSED]
    for data in given_data:
        try:
            assert item(loads(bytes.fromhex(data))) == bytes.fromhex(data)
            expected.append(1)
        except WireError as error:
            expected.append(str(error))
    assert micropython(MICROPYTHON_ITEMS, argument=given_data) == expected


def single(value: float) -> float:
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def test_micropython_makes_the_same_bytes(micropython: Callable[..., Any]) -> None:
    telemetry = {
        "version": 2,
        "kind": 0,
        "seq": 70000,
        "uptime_ms": 2**33,
        "time_ms": 1763875606123,
        "rms_g": single(0.1),
        "skew": -0.125,
        "temperature_c": -40.0,
        "energy": [230.5, None, -1.5, 0.0, -1.0, 50.0, 4000.25],
        "node": "pümp",
        "peaks": [1.5, 2.25],
        "level": 0,
        "quality": 4,
    }
    event = {"version": 2, "kind": 1, "value": single(0.1), "limit": 4.5, "text": "a" + "é" * 60, "drops": [1, 2, 3]}
    answer = {"version": 2, "kind": 4, "id": 7, "result": {"b": [1, -1, 0.5], "a": None, "aa": True}}
    code = program(__file__, "floats")
    records = [telemetry, event, answer]
    for (data, back), record in zip(micropython(code, argument=records), records, strict=True):
        assert bytes(data) == encode(record)
        assert back == decode(bytes(data))
    refused = program(__file__, "too_small")
    assert "fit" in micropython(refused, argument=telemetry)


def test_a_half_is_told_from_a_single_alike(micropython: Callable[..., Any]) -> None:
    """Every exponent, with mantissas around what a binary16 keeps."""
    singles = [
        struct.unpack(">f", struct.pack(">I", sign << 31 | exponent << 23 | mantissa))[0]
        for sign in (0, 1)
        for exponent in range(255)
        for mantissa in (0, 1, 1 << 12, 1 << 13, 3 << 13, 1 << 22, 0x7FE000, 0x7FFFFF)
    ]
    code = program(__file__, "halves")
    bits = [struct.unpack(">I", struct.pack(">f", value))[0] for value in singles]
    expected = [int.from_bytes(cbor2.dumps(value, canonical=True), "big") for value in singles]
    assert [int.from_bytes(item(value), "big") for value in singles] == expected
    assert micropython(code, argument=bits) == expected
    for value in expected:
        loads(value.to_bytes(3 if value < 1 << 24 else 5, "big"))
