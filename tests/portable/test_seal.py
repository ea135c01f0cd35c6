"""The device's AES-CCM, its keys and its replay window, on the real MicroPython, against standards and pycose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycose.algorithms import AESCCM1664128
from pycose.headers import IV, KID, Algorithm, PartialIV
from pycose.keys import SymmetricKey
from pycose.messages import Enc0Message

from quaver.messages.sealing import Opener, Sealer
from quaver_wire import cbor
from quaver_wire.fields import EVENTS, MESSAGE_CLASSES
from quaver_wire.hkdf import derive, hkdf, hmac
from service.replay import Window
from tests.programs import program

VECTORS = Path(__file__).resolve().parents[2] / "protocols" / "vectors"
NODE = bytes(range(0xA0, 0xA8))
DEVICE_KEY = bytes(range(32))

# RFC 5869, appendix A.1 to A.3: secret, salt, info, output
HKDF = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    ("0b" * 22, "", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
]
# RFC 4231, 4.2, 4.3 and 4.7: a short key, a text key, a key over one block
HMAC = [
    ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?".hex(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]

CCM = program(__file__, "ccm")


def test_ccm_vectors(micropython: Callable[..., Any]) -> None:
    """The packet vectors of RFC 3610 with a tag of 8 bytes, and what OpenSSL makes of every length to 70."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    vectors = json.loads((VECTORS / "rfc3610.json").read_text())
    assert len(vectors) == 6
    cases = [[v["key"], v["nonce"], v["additional"], v["plain"]] for v in vectors]
    wanted = [v["sealed"] for v in vectors]
    for length in range(0, 70, 3):
        key, nonce, plain = bytes(range(16)), bytes(range(length, length + 13)), bytes(range(length))
        additional = bytes(range(length % 40))
        if additional:  # without any, CCM leaves the block out; the Enc_structure is never empty
            cases.append([part.hex() for part in (key, nonce, additional, plain)])
            wanted.append(AESCCM(key, tag_length=8).encrypt(nonce, plain, additional).hex())
    got = micropython(CCM, argument=cases)
    assert got == [[sealed, True, 0] for sealed in wanted for _ in range(2)]


def test_nothing_is_sealed_when_the_chip_s_aes_did_nothing(micropython: Callable[..., Any]) -> None:
    assert micropython(program(__file__, "no_aes")) == ["no memory for AES"] * 4


def test_hkdf_vectors(micropython: Callable[..., Any]) -> None:
    for secret, salt, info, wanted in HKDF:
        got = hkdf(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(info), len(wanted) // 2)
        assert got.hex() == wanted
    for key, message, wanted in HMAC:
        assert hmac(bytes.fromhex(key), bytes.fromhex(message)).hex() == wanted
    code = program(__file__, "hkdf")
    assert micropython(code, argument=HKDF) == [wanted for *_, wanted in HKDF]


def test_keys_differ_by_direction_node_and_generation() -> None:
    found = {
        derive(DEVICE_KEY, direction, node, generation)
        for direction in ("uplink", "downlink")
        for node in (NODE, bytes(8))
        for generation in (0, 1, 255)
    }
    assert len(found) == 12
    for wrong in ((bytes(31), "uplink", NODE), (DEVICE_KEY, "sideways", NODE), (DEVICE_KEY, "uplink", bytes(7))):
        with pytest.raises(ValueError, match="derive: wrong"):
            derive(*wrong, 1)


DEVICE_SEALS = program(__file__, "device_seals")

MESSAGES = [
    (message_class, boot, seq, bytes(range(size)))
    for message_class, boot, seq, size in zip(
        MESSAGE_CLASSES * 2,
        (1, 255, 256, 65535, 65536, 2**24 - 1, 2**24, 2**32 - 1, 7, 7),
        (0, 1, 255, 256, 65535, 65536, 2**24 - 1, 5, 6, 7),
        (1, 14, 15, 16, 17, 30, 100, 240, 200, 23),
        strict=True,
    )
]


def nonce(context_iv: bytes, boot: int, seq: int) -> bytes:
    return bytes(a ^ b for a, b in zip((boot << 24 | seq).to_bytes(13, "big"), context_iv, strict=True))


def test_pycose_opens_what_the_device_seals(micropython: Callable[..., Any]) -> None:
    rows = [(message_class, boot, seq, plain.hex()) for message_class, boot, seq, plain in MESSAGES]
    sealed = micropython(DEVICE_SEALS, argument=[DEVICE_KEY.hex(), NODE.hex(), 3, rows])
    key, context_iv = derive(DEVICE_KEY, "uplink", NODE, 3)
    for message, (message_class, boot, seq, plain) in zip(sealed, MESSAGES, strict=True):
        decoded = Enc0Message.from_cose_obj(cbor2.loads(bytes.fromhex(message)), allow_unknown_attributes=False)
        assert decoded.phdr == {Algorithm: AESCCM1664128}
        assert decoded.uhdr[KID] == NODE + b"\x03"
        assert int.from_bytes(decoded.uhdr[PartialIV], "big") == boot << 24 | seq
        decoded.uhdr = {IV: nonce(context_iv, boot, seq)}
        decoded.key = SymmetricKey(k=key)
        decoded.external_aad = message_class.encode()
        assert decoded.decrypt() == plain
        assert Sealer(DEVICE_KEY, NODE, 3, "uplink").seal(message_class, boot, seq, plain).hex() == message


DEVICE_OPENS = program(__file__, "device_opens")


def command(number: int) -> bytes:
    buffer = bytearray(200)
    record = {"version": 2, "id": number, "name": "ping", "args": {"delay": 0.5, "n": [1, None]}, "expiry": 10**12}
    return bytes(buffer[: cbor.encode(buffer, record, "command")])


def by_pycose(
    generation: int, device_key: bytes, boot: int, seq: int, plain: bytes, message_class: bytes = b"command"
) -> bytes:
    key, context_iv = derive(device_key, "downlink", NODE, generation)
    message = Enc0Message(
        phdr={Algorithm: AESCCM1664128},
        uhdr={IV: nonce(context_iv, boot, seq)},
        payload=plain,
        key=SymmetricKey(k=key),
        external_aad=message_class,
    )
    partial = boot.to_bytes((boot.bit_length() + 7) // 8, "big") + seq.to_bytes(3, "big")
    return cbor2.dumps([b"\xa1\x01\x0a", {4: NODE + bytes([generation]), 6: partial}, message.encrypt()])


def test_the_device_opens_what_pycose_seals_and_refuses_the_rest(micropython: Callable[..., Any]) -> None:
    other = bytes(32)
    good = by_pycose(1, DEVICE_KEY, 5, 10, command(1))
    altered = bytearray(good)
    altered[-1] ^= 1
    forged = bytearray(by_pycose(1, DEVICE_KEY, 5, 11, command(2)))
    forged[21] ^= 0x80  # a sequence number far ahead
    script = [
        ("command", bytes(altered), "wrong_key"),
        ("command", bytes(forged), "wrong_key"),
        ("answer", good, "wrong_key"),
        ("command", good, 1),
        ("command", good, "replay"),
        ("command", by_pycose(1, DEVICE_KEY, 5, 9, command(3)), 3),
        ("command", by_pycose(1, DEVICE_KEY, 5, 60, command(4)), 4),
        ("command", by_pycose(1, DEVICE_KEY, 5, 11, command(5)), "replay"),  # too far behind to be told
        ("restart", b"", None),
        ("command", by_pycose(1, DEVICE_KEY, 5, 60, command(6)), "replay"),
        ("command", by_pycose(1, DEVICE_KEY, 4, 99, command(7)), "old_boot"),
        ("command", by_pycose(1, DEVICE_KEY, 6, 0, command(8)), 8),
        ("command", by_pycose(1, other, 6, 1, command(9)), "wrong_key"),
        ("command", by_pycose(9, DEVICE_KEY, 6, 1, command(9)), "unknown_node"),
        ("command", b"\xa1\x00\x02", "malformed"),
        ("command", by_pycose(1, DEVICE_KEY, 6, 1, command(9) + b"\0"), "malformed"),
        ("command", by_pycose(1, DEVICE_KEY, 6, 2, b"\xa1\x00\x09"), "wrong_version"),
        # the key is changed: both are taken until the new one is seen
        ("command", by_pycose(1, DEVICE_KEY, 6, 3, command(10)), 10),
        ("command", by_pycose(2, other, 6, 4, command(11)), 11),
        ("command", by_pycose(1, DEVICE_KEY, 6, 5, command(12)), "unknown_node"),
        ("command", Sealer(other, NODE, 2, "downlink").seal("command", 6, 6, command(13)), 13),
    ]
    keys = [[1, DEVICE_KEY.hex()], [2, other.hex()]]
    argument = [NODE.hex(), keys, [[message_class, message.hex()] for message_class, message, _ in script]]
    answers, counts, channels = micropython(DEVICE_OPENS, argument=argument)
    assert answers == [wanted for message_class, _, wanted in script if message_class != "restart"]
    assert counts == {
        "replay": 1, "old_boot": 1, "wrong_key": 1, "unknown_node": 2, "malformed": 2, "wrong_version": 1
    }  # fmt: skip
    assert channels == [2]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 80), st.booleans()), max_size=60))
def test_the_window_takes_each_message_once_and_over_restarts(messages: list[tuple[int, int, bool]]) -> None:
    window = Window()
    taken: set[tuple[int, int]] = set()
    for boot, seq, restart in messages:
        if restart:
            state = window.state()
            assert len(state) == 11
            window = Window(state)
        why = window.refuses(boot, seq)
        highest = max(taken, default=(0, 0))
        if boot < highest[0]:
            assert why == "old_boot"
        elif (boot, seq) in taken or (boot == highest[0] and seq <= highest[1] - 32):
            assert why == "replay"
        else:
            assert why is None
            window.take(boot, seq)
            taken.add((boot, seq))


def test_a_state_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="expected 11 bytes, found 3"):
        Window(b"abc")


def test_a_node_without_a_counted_boot_seals_nothing(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "refusals")
    assert micropython(code) == ["boot 0 can't seal: it is not counted", "record does not fit its buffer", 97]


def test_the_host_opens_what_the_device_seals(micropython: Callable[..., Any]) -> None:
    buffer = bytearray(200)
    end = cbor.encode(buffer, {"version": 2, "uptime_ms": 9, "rms_g": 0.5}, "telemetry")
    argument = [DEVICE_KEY.hex(), NODE.hex(), 1, [("telemetry", 2, 3, buffer[:end].hex())]]
    (message,) = micropython(DEVICE_SEALS, argument=argument)

    class Keys:
        def device_keys(self, node_id: bytes) -> dict[int, bytes]:
            return {1: DEVICE_KEY}

    opened = Opener(Keys()).open("telemetry", bytes.fromhex(message))
    assert (opened.boot, opened.seq, opened.record["rms_g"]) == (2, 3, 0.5)


RECORDS = program(__file__, "records")


def test_a_new_key_is_announced_under_the_old_and_no_number_comes_twice(micropython: Callable[..., Any]) -> None:
    *messages, refused, again = micropython(RECORDS, argument=[DEVICE_KEY.hex(), NODE.hex()])

    class Keys:
        def device_keys(self, node_id: bytes) -> dict[int, bytes]:
            return {1: DEVICE_KEY, 2: bytes(32)}

    opener = Opener(Keys())
    announced, last, status = (
        opener.open(message_class, bytes.fromhex(message)) for message_class, message in messages
    )
    assert (announced.generation, announced.record["generation"]) == (1, 2)
    assert EVENTS[announced.record["code"]] == "key_announced"
    assert (last.seq, status.seq) == ((1 << 23) - 1, 1 << 23)
    assert refused == again == "no sequence numbers are left in this boot"
