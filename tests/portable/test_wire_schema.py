"""Everything that the firmware emits is of protocols/quaver.cddl, and the vectors are what they say."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycddl import Schema, ValidationError
from test_wire import encode

from quaver.messages import decoding, host_fields
from quaver.messages.sealing import Opener, Sealer
from quaver_wire.decoder import FieldError, decode
from quaver_wire.fields import EVENTS, WireError
from tests.programs import program

PROTOCOLS = Path(__file__).resolve().parents[2] / "protocols"
CDDL = (PROTOCOLS / "quaver.cddl").read_text()
VECTORS = json.loads((PROTOCOLS / "vectors" / "records.json").read_text())
FEATURES = (
    "rms_g", "peak_g", "crest", "kurtosis", "skew", "velocity_mm_s", "envelope_g", "temperature_c", "shaft_hz",
    "shaft_confidence",
)  # fmt: skip


def schema(rule: str) -> Schema:
    """The schema whose first rule, which is the one that counts, is `rule`."""
    return Schema(f"start = {rule}\n{CDDL}")


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["what"] for vector in VECTORS])
def test_the_vectors_are_what_they_say(vector: dict[str, Any]) -> None:
    record, plain, sealed = vector["record"], bytes.fromhex(vector["plain"]), bytes.fromhex(vector["sealed"])
    longest = 590 if "spectrum" in vector["record"] else 64
    assert len(plain) <= longest
    assert len(sealed) <= longest + 34
    raw = {name: bytes.fromhex(v) if name in SPECTRA else v for name, v in record.items()}
    assert encode(raw, vector["leaf"]) == plain
    sealer = Sealer(bytes.fromhex(vector["device_key"]), bytes.fromhex(vector["node_id"]), 1, "uplink")
    assert sealer.seal(vector["leaf"], vector["boot"], vector["seq"], plain) == sealed
    schema(vector["leaf"]).validate_cbor(plain)
    schema("sealed").validate_cbor(sealed)

    class Keys:
        def device_keys(self, node_id: bytes) -> dict[int, bytes]:
            return {vector["generation"]: bytes.fromhex(vector["device_key"])}

    opened = Opener(Keys()).open(vector["leaf"], sealed)
    assert opened.record == raw == decode(plain, vector["leaf"])  # to the last digit: the steps lose nothing here


def test_the_first_two_vectors_have_17_features() -> None:
    for vector in VECTORS[:2]:
        record = vector["record"]
        assert sum(name in record for name in FEATURES) + len(record["energy"]) == 17


MEASURED = {
    "heap_free": 100000, "rate_hz": 26667.2, "jitter_us": 1.5, "samples": 32768, "dropped": 0, "rms_g": 0.1,
    "peak_g": 1.0, "crest": 10.0, "kurtosis": 3.0, "skew": -0.1, "velocity_mm_s": 1.0, "zone": 3, "envelope_g": 0.1,
    "peaks": [100.0, 0.5] * 8, "bands": [0.001] * 8, "lines": [104.4, 0.0012, 18.2, 9.0, 3.0] * 4, "shaft_hz": 29.9,
    "shaft_confidence": 0.5, "machine": 2, "learned": 64, "running_h": 1234.5, "fault": 1, "margin_db": -1.5,
    "abstained": "no speed", "temperature_c": -5.0, "humidity_pct": 43.21,
    "energy": [230.0, None, -5.0, 5.0, 0.5, 50.0, 1.0],
    "current_a": 8.012, "line_hz": 49.98, "sidebands": [3.01, -45.2, -70.4],
    "phases": [230.01, 0.0, None, 1.234, 0.0, 5.0, -12.3, 0.0, 7.0],
}  # fmt: skip

SPECTRA = ("spectrum", "envelope_spectrum")
# all that is in it at its longest, but for one number that is negative
SPECTRUM = {
    "level": 2, "quality": 255, "spectrum_hz": 13333.6, "envelope_spectrum_hz": 833.4, "band_low_hz": 2000,
    "band_high_hz": 5000, "marks_hz": [29.95, 107.37, 162.19, 141.17, 11.93],
}  # fmt: skip
RECORDER = program(__file__, "records")


def test_what_the_firmware_emits_is_of_the_schema(micropython: Callable[..., Any]) -> None:
    said = micropython(RECORDER, argument={**MEASURED, "quality": 3, "level": 2})
    assert len(said) == 2 + len(EVENTS) - 1 + 2 + 2
    for message_class, message in said:
        schema(message_class).validate_cbor(bytes.fromhex(message))
        assert decode(bytes.fromhex(message), message_class)["boot"] == 7
    whole = decode(bytes.fromhex(said[1][1]), "telemetry")
    assert {name: whole[name] for name in MEASURED} == MEASURED


@pytest.mark.parametrize("sealed", [True, False])
def test_a_spectrum_record_fits_what_every_journal_and_gateway_takes(
    micropython: Callable[..., Any], sealed: bool
) -> None:
    """One sealed message under 1,024 bytes: under the 640 of an entry of a journal, whatever node, boot and time."""
    message, schema_s = micropython(program(__file__, "spectrum"), argument={"fields": SPECTRUM, "sealed": sealed})
    assert 512 < len(bytes.fromhex(message)) <= 640
    plain = bytes.fromhex(schema_s)
    schema("telemetry").validate_cbor(plain)
    assert decode(plain, "telemetry").items() >= SPECTRUM.items()
    assert decode(plain, "telemetry")["spectrum"] == bytes(range(256))


def host_encoded(record: dict[str, Any], message_class: str = "telemetry") -> bytes:
    buffer = bytearray(4096)
    return bytes(buffer[: host_fields.encode(buffer, record, message_class)])


def test_what_has_no_field_bears_its_name_and_unit() -> None:
    given = {f"quantity_number_{n:08}": [0.1 * n, "[in_i'H2O].m3"[:12]] for n in range(12)}
    data = host_encoded({"version": 2, "uptime_ms": 10**12, "time_ms": 10**12, "quantities": given})
    schema("telemetry").validate_cbor(data)
    assert len(data) <= 600  # whatever node, boot and time, a gateway's journal takes it
    found = decoding.decode(data, "telemetry")
    assert {name: [pytest.approx(value), unit] for name, (value, unit) in given.items()} == found.pop("quantities")
    assert decode(data, "telemetry") == found  # a node passes over it, as over any key that it has no row for
    with pytest.raises(WireError, match="beside"):  # keys rise, and this one's is behind
        host_encoded({"version": 2, "pulses": 7, "quantities": given})


def test_quantities_that_no_message_can_carry_are_refused() -> None:
    base = {"version": 2, "quantities": {"oil": [1.0, "bar"]}}
    assert host_encoded({"version": 2, "quantities": None}) == encode({"version": 2}, "telemetry")
    for record, message_class in (
        (base | {"code": 6}, "event"),
        (base | {"quantities": {"oil": [1e39, "bar"]}}, "telemetry"),
        (base | {"quantities": {f"oil_{n}": [1.0, "bar"] for n in range(65)}}, "telemetry"),
    ):
        with pytest.raises(WireError, match="quantities"):
            host_encoded(record, message_class)
    with pytest.raises(WireError, match="no message can carry"):
        host_fields.encode(bytearray(len(host_encoded(base)) - 1), base, "telemetry")
    for wrong in (b"\xf5", b"\xa1\x01\x01"):  # true; a map whose key is a number
        with pytest.raises(FieldError, match="quantities is"):
            decoding.decode(b"\xa2\x00\x02\x18\x63" + wrong, "telemetry")


def test_commands_and_answers_are_of_the_schema() -> None:
    command = {"version": 2, "id": 5, "name": "rotate", "args": {"generation": 2, "key": bytes(32)}, "expiry": 10**12}
    schema("command").validate_cbor(encode(command, "command"))
    for answer in ({"result": {"done": True}}, {"error": "unknown command"}):
        schema("answer").validate_cbor(encode({"version": 2, "id": 5, **answer}, "answer"))
    told = {
        "version": 2, "code": EVENTS.index("records_dropped"), "drops": [7, 1, 5, 8, 0, 0], "oldest_boot": 6,
        "lost_from": [6, 90], "count": 3, "generation": 2,
    }  # fmt: skip
    schema("event").validate_cbor(encode(told, "event"))
    alarm = {
        "version": 2, "code": 1, "event_level": 2, "subject": "envelope", "value": 0.123, "limit": 0.1, "waveform": 1,
        "abstained": "bpfi and bpfo are alike", "evidence_line": 1, "evidence_hz": 162.19, "evidence_g": 0.0512,
        "evidence_db": 41.5, "margin_db": -6.5, "signs": 7, "sidebands_db": 30.1, "shaft_hz": 29.95,
        "shaft_confidence": 0.94, "velocity_share": 0.81, "harmonics_db": [30.1, None, 16.9],
    }  # fmt: skip
    data = encode(alarm, "event")
    schema("event").validate_cbor(data)
    assert len(data) < 160 and decode(data, "event") == {
        **alarm,
        "value": pytest.approx(0.123),
        "limit": pytest.approx(0.1),
    }


@pytest.mark.parametrize(
    ("message_class", "record"),
    [
        ("telemetry", {"version": 3}),
        ("telemetry", {"version": 2, "level": 3}),
        ("telemetry", {"version": 2, "peaks": [1.0] * 18}),
        ("telemetry", {"version": 2, "energy": [1.0]}),
        ("telemetry", {"version": 2, "bands": [0.5] * 9}),
        ("telemetry", {"uptime_ms": 1}),
        ("telemetry", {"version": 2, "spectrum": bytes(255)}),
        ("telemetry", {"version": 2, "marks_hz": []}),
        ("telemetry", {"version": 2, "quantities": {}}),
        ("telemetry", {"version": 2, "quantities": {"oil": [1.0]}}),
        ("telemetry", {"version": 2, "quantities": {"oil": [1, "bar"]}}),
        ("telemetry", {"version": 2, "quantities": {"oil": [1.0, ""]}}),
        ("telemetry", {"version": 2, "quantities": {f"oil_{n}": [1.0, "bar"] for n in range(13)}}),
        ("event", {"version": 2}),
        ("event", {"version": 2, "code": 6, "lost_from": [1]}),
        ("event", {"version": 2, "code": 8, "drops": [1, 2]}),
        ("event", {"version": 2, "code": 2, "reason": []}),
        ("event", {"version": 2, "code": 2, "reason": [206, None]}),
        ("status", {"version": 2}),
        ("command", {"version": 2, "name": "x"}),
    ],
)
def test_the_schema_can_say_no(message_class: str, record: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema(message_class).validate_cbor(host_encoded(record, message_class))


def test_a_later_field_is_of_the_schema() -> None:
    schema("status").validate_cbor(b"\xa3\x00\x02\x18\x1e\x01\x19\x01\x00\xf5")
    schema("telemetry").validate_cbor(b"\xa2\x00\x02\x0b\x87\x01\x02\x03\x04\x05\x06\x07")


def test_the_numbers_of_events_are_those_of_the_fields_file() -> None:
    """quaver_wire/fields.py is the source; the others are copies, and a failure shows what to write there."""
    codes = ", ".join(f"{code} {name.replace('_', ' ')}" for code, name in enumerate(EVENTS) if code)
    assert re.findall(r"\| 20 \| code \| uint \| (.+) \|", (PROTOCOLS / "README.md").read_text()) == [codes]
    assert re.findall(r"20 => (\S+), +; code", CDDL) == [f"1..{len(EVENTS) - 1}"]
