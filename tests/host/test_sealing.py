"""Sealing on the host: against pycose, an independent COSE, and everything that must be refused."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycose.algorithms import AESCCM1664128
from pycose.headers import IV, KID, Algorithm, PartialIV
from pycose.keys import SymmetricKey
from pycose.messages import Enc0Message

from quaver.messages.sealing import Malformed, Opener, Sealer, SealError, UnknownNode, WrongKey, WrongVersion
from quaver_wire import cbor
from quaver_wire.cose import Header
from quaver_wire.fields import MESSAGE_CLASSES, WireError
from quaver_wire.hkdf import derive

NODE = bytes(range(1, 9))
DEVICE_KEY = bytes(range(32))
BOOT, SEQ = 300, 70000


class Store:
    """Keys of one node, by generation."""

    def __init__(self, **generations: bytes) -> None:
        self.keys = {int(name[1:]): key for name, key in generations.items()}

    def device_keys(self, node_id: bytes) -> Mapping[int, bytes]:
        return self.keys if node_id == NODE else {}


def plaintext(message_class: str = "telemetry", **values: object) -> bytes:
    buffer = bytearray(512)
    return bytes(buffer[: cbor.encode(buffer, {"version": 2, "uptime_ms": 5, **values}, message_class)])


def sealed(
    message_class: str = "telemetry", boot: int = BOOT, seq: int = SEQ, generation: int = 1, **values: object
) -> bytes:
    return Sealer(DEVICE_KEY, NODE, generation, "uplink").seal(
        message_class, boot, seq, plaintext(message_class, **values)
    )


def nonce(context_iv: bytes, boot: int, seq: int) -> bytes:
    """RFC 9052, 3.1: the Partial IV padded on the left, XOR the Context IV; written once more, as a check."""
    partial = (boot << 24 | seq).to_bytes(13, "big")
    return bytes(a ^ b for a, b in zip(partial, context_iv, strict=True))


def test_what_is_sealed_opens() -> None:
    opened = Opener(Store(_1=DEVICE_KEY)).open("telemetry", sealed(rms_g=0.25))
    assert (opened.node_id, opened.generation, opened.boot, opened.seq) == (NODE, 1, BOOT, SEQ)
    assert opened.record == {"version": 2, "uptime_ms": 5, "level": 0, "quality": 0, "rms_g": 0.25}


@pytest.mark.parametrize("boot", [1, 255, 256, 2**24, 2**32 - 1])
@pytest.mark.parametrize("size", [1, 15, 16, 200, 400])
def test_pycose_opens_it(boot: int, size: int) -> None:
    inside = bytes(i & 0xFF for i in range(size))
    message = Sealer(DEVICE_KEY, NODE, 7, "uplink").seal("event", boot, SEQ, inside)
    key, context_iv = derive(DEVICE_KEY, "uplink", NODE, 7)
    decoded = Enc0Message.from_cose_obj(__import__("cbor2").loads(message), allow_unknown_attributes=False)
    assert decoded.phdr == {Algorithm: AESCCM1664128}
    partial = boot.to_bytes((boot.bit_length() + 7) // 8, "big") + SEQ.to_bytes(3, "big")
    assert decoded.uhdr == {KID: NODE + b"\x07", PartialIV: partial}
    decoded.uhdr = {IV: nonce(context_iv, boot, SEQ)}
    decoded.key = SymmetricKey(k=key)
    decoded.external_aad = b"event"
    assert decoded.decrypt() == inside


def test_it_opens_what_pycose_seals() -> None:
    key, context_iv = derive(DEVICE_KEY, "uplink", NODE, 1)
    message = Enc0Message(
        phdr={Algorithm: AESCCM1664128},
        uhdr={IV: nonce(context_iv, 9, 17)},
        payload=plaintext(rms_g=0.5),
        key=SymmetricKey(k=key),
        external_aad=b"telemetry",
    )
    ciphertext = message.encrypt()
    import cbor2

    foreign = cbor2.dumps([b"\xa1\x01\x0a", {4: NODE + b"\x01", 6: b"\x09\x00\x00\x11"}, ciphertext])
    assert Opener(Store(_1=DEVICE_KEY)).open("telemetry", foreign).record["rms_g"] == 0.5


@pytest.mark.parametrize("message_class", MESSAGE_CLASSES)
def test_a_message_is_of_its_class_alone(message_class: str) -> None:
    message = sealed(message_class)
    for other in MESSAGE_CLASSES:
        if other == message_class:
            Opener(Store(_1=DEVICE_KEY)).open(other, message)
        else:
            with pytest.raises(WrongKey):
                Opener(Store(_1=DEVICE_KEY)).open(other, message)


def test_every_altered_bit_is_refused() -> None:
    opener = Opener(Store(_1=DEVICE_KEY))
    message = sealed(rms_g=0.25)
    for place, bit in itertools.product(range(len(message)), range(8)):
        altered = bytearray(message)
        altered[place] ^= 1 << bit
        with pytest.raises(SealError):
            opener.open("telemetry", bytes(altered))


def test_cut_and_longer_messages_are_refused() -> None:
    opener = Opener(Store(_1=DEVICE_KEY))
    message = sealed(rms_g=0.25)
    for end in range(len(message)):
        with pytest.raises(Malformed):
            opener.open("telemetry", message[:end])
    for more in (b"\0", b"\0" * 2000):
        with pytest.raises(Malformed):
            opener.open("telemetry", message + more)


def test_the_directions_have_keys_of_their_own() -> None:
    downlink = Sealer(DEVICE_KEY, NODE, 1, "downlink").seal("command", 1, 1, plaintext("command", id=1, name="ping"))
    with pytest.raises(WrongKey):
        Opener(Store(_1=DEVICE_KEY)).open("command", downlink)
    assert Opener(Store(_1=DEVICE_KEY), "downlink").open("command", downlink).record["name"] == "ping"


def test_a_node_that_is_not_known_and_a_generation_that_is_not() -> None:
    with pytest.raises(UnknownNode, match="node 0102030405060708: no key of generation 2"):
        Opener(Store(_1=DEVICE_KEY)).open("telemetry", sealed(generation=2))
    stranger = Sealer(DEVICE_KEY, bytes(8), 1, "uplink").seal("telemetry", 1, 1, plaintext())
    with pytest.raises(UnknownNode):
        Opener(Store(_1=DEVICE_KEY)).open("telemetry", stranger)


def test_two_generations_are_taken_until_the_old_one_is_given_up() -> None:
    store = Store(_1=DEVICE_KEY, _2=bytes(32))
    opener = Opener(store)
    old = sealed(seq=1)
    new = Sealer(bytes(32), NODE, 2, "uplink").seal("telemetry", BOOT, 2, plaintext())
    assert [opener.open("telemetry", message).generation for message in (old, new, old)] == [1, 2, 1]
    del store.keys[1]
    with pytest.raises(UnknownNode):
        opener.open("telemetry", old)
    store.keys[2] = bytes(31) + b"\1"  # another key by the same name
    with pytest.raises(WrongKey):
        opener.open("telemetry", new)


def test_what_is_inside_is_judged_too() -> None:
    opener = Opener(Store(_1=DEVICE_KEY))
    sealer = Sealer(DEVICE_KEY, NODE, 1, "uplink")
    with pytest.raises(Malformed, match=r"seq 1: .* bytes after"):
        opener.open("telemetry", sealer.seal("telemetry", 1, 1, plaintext() + b"\0"))
    with pytest.raises(WrongVersion, match="version 9"):
        opener.open("telemetry", sealer.seal("telemetry", 1, 1, b"\xa1\x00\x09"))
    with pytest.raises(Malformed, match="names itself"):
        opener.open("telemetry", sealer.seal("telemetry", 1, 1, plaintext(boot=5)))
    with pytest.raises(Malformed):
        opener.open("telemetry", sealer.seal("telemetry", 1, 1, b""))
    with pytest.raises(Malformed, match="is not a message class"):
        opener.open("nonsense", sealed())


@pytest.mark.parametrize(("boot", "seq"), [(0, 1), (2**32, 1), (1, 2**24), (-1, 1), (1, -1)])
def test_a_nonce_that_can_not_be_unique_is_refused(boot: int, seq: int) -> None:
    with pytest.raises(WireError):
        sealed(boot=boot, seq=seq)


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_by_name(message: bytes) -> None:
    for data in (message, b"\x83\x43\xa1\x01\x0a\xa2\x04\x49" + message):
        with pytest.raises((Malformed, UnknownNode)):
            Opener(Store(_1=DEVICE_KEY)).open("telemetry", data)


def test_a_header_has_one_form() -> None:
    """The same boot and sequence number in other bytes would pass by the replay window."""
    message = sealed(boot=1)
    padded = message[:18] + b"\x45\0" + message[19:]
    assert Header(message).boot == 1
    with pytest.raises(Malformed, match="shorter form"):
        Opener(Store(_1=DEVICE_KEY)).open("telemetry", padded)
