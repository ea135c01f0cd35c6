"""The link's secret: both ends against an independent HKDF and AES-CCM, and what neither takes."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quaver.messages.sealing import Ccm
from quaver_wire import gatt, link
from quaver_wire.link_gateway import answered, hello
from quaver_wire.link_session import Session
from tests.programs import program

NODE = bytes(range(8))
DEVICE_KEY = bytes(range(32))
GREETING = hello(1, 2, bytes(range(100, 116)), b"gw")


def expanded(secret: bytes, salt: bytes | None, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


def tag(key: bytes, direction: int, count: int, message: bytes) -> bytes:
    """What is behind a message, made by OpenSSL."""
    nonce = bytes((direction,)) + bytes(8) + count.to_bytes(4, "big")
    return AESCCM(key, tag_length=8).encrypt(nonce, b"", sha256(message).digest())


def keys(nonce: bytes) -> tuple[bytes, bytes]:
    """(link key, AES key)"""
    key = expanded(DEVICE_KEY, None, b"quaver link 1" + NODE + b"\1\2gw", 32)
    return key, expanded(key, GREETING + nonce, b"quaver link session 1", 16)


def challenge(key: bytes, nonce: bytes, greeting: bytes = GREETING) -> tuple[bytes, Session]:
    """A node's answer to a HELLO, and its end of the connection, as node.greeting makes them."""
    session = Session(Ccm(link.session_key(key, greeting, nonce)), True)
    return session.sign(b"\6" + nonce), session


def both() -> tuple[Session, Session]:
    """(the node's end, the gateway's)"""
    key = link.link_key(DEVICE_KEY, NODE, 1, b"gw", 2)
    answer, node = challenge(key, bytes(16))
    return node, answered(key, GREETING, answer, Ccm)


def test_keys_and_tags_are_those_of_the_standards() -> None:
    nonce = bytes(range(16))
    key, aes = keys(nonce)
    assert link.link_key(DEVICE_KEY, NODE, 1, b"gw", 2) == key
    answer, node = challenge(key, nonce)
    assert answer == b"\6" + nonce + tag(aes, 1, 0, b"\6" + nonce)
    gateway = answered(key, GREETING, answer, Ccm)
    for count, message in enumerate((gatt.time_message(5), gatt.ack(1), gatt.content(0, bytes(1024)))):
        signed = gateway.sign(message)
        assert signed == message + tag(aes, 2, count, message) and node.check(signed) == message
    assert node.sign(b"\0") == b"\0" + tag(aes, 1, 1, b"\0")


def test_another_key_for_each_gateway_node_and_generation() -> None:
    found = {
        link.link_key(DEVICE_KEY, node, key_generation, name, generation)
        for node in (NODE, bytes(8))
        for key_generation in (1, 2)
        for name in (b"gw", b"gw2", b"\1gw")
        for generation in (1, 2)
    }
    assert len(found) == 24
    for wrong in ((bytes(31), NODE, 1, b"gw"), (DEVICE_KEY, b"", 1, b"gw"), (DEVICE_KEY, NODE, 1, b"")):
        with pytest.raises(ValueError, match="wrong length"):
            link.link_key(*wrong, 1)


def test_a_tag_fits_its_message_its_place_and_its_direction_alone() -> None:
    node, gateway = both()
    first, second = gateway.sign(gatt.ack(1)), gateway.sign(gatt.ack(2))
    own = node.sign(b"\0")
    another = both()[1].sign(gatt.ack(1))
    assert another == first  # of the same nonces; fresh ones are what a node and a gateway are there for
    for wrong in (
        second,
        own,
        gatt.ack(1) + second[3:],
        gatt.ack(2) + first[3:],
        first[:-1],
        first + b"\0",
        b"",
        first[3:],
    ):
        with pytest.raises(ValueError, match="tag"):
            node.check(wrong)
    for bit in range(8 * len(first)):
        altered = bytearray(first)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="tag"):
            node.check(bytes(altered))
    assert node.check(first) == gatt.ack(1)
    with pytest.raises(ValueError, match="tag"):
        node.check(first)
    assert node.check(second) == gatt.ack(2)


def test_a_gateway_takes_no_other_challenge() -> None:
    key = link.link_key(DEVICE_KEY, NODE, 1, b"gw", 2)
    answer, _ = challenge(key, bytes(16))
    elsewhere = challenge(key, bytes(16), hello(1, 2, bytes(16), b"gw"))[0]
    reflected = Session(Ccm(link.session_key(key, GREETING, bytes(16))), False).sign(b"\6" + bytes(16))
    for wrong in (elsewhere, reflected, answer[:-1], b"\7", answer[:17] + bytes(8), b"\6" + b"\1" * 16 + answer[17:]):
        with pytest.raises(ValueError, match=r"CHALLENGE|tag"):
            answered(key, GREETING, wrong, Ccm)


def test_a_node_on_micropython_answers_so_and_believes_nobody_else(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    others = [
        gatt.time_message(1),  # of an old gateway
        hello(1, 2, bytes(16), b"a gateway with a long name"[:24]),
        hello(2, 2, bytes(16), b"gw"),  # a device key that it has not
        b"\6\2" + GREETING[2:],
        GREETING[:20],
        GREETING + bytes(23),
        gatt.ack(1) + bytes(20),
    ]
    argument = [NODE.hex(), DEVICE_KEY.hex(), GREETING.hex(), [other.hex() for other in others], 1000]
    argument.append(str(tmp_path))
    said, why, forged, answers, after, failed = micropython(program(__file__, "node"), argument=argument)
    answer, end, fresh = map(bytes.fromhex, said)
    _, aes = keys(answer[1:17])
    assert answer == answer[:17] + tag(aes, 1, 0, answer[:17]) and end == b"\0" + tag(aes, 1, 1, b"\0")
    assert fresh[:17] != answer[:17] and why == ""
    assert forged == {"taken": 0, "refused": 1000}
    refused = [gatt.REFUSED, ""]
    assert answers == [
        *([None, "old_link"], [gatt.CHALLENGE, ""], refused, [gatt.REFUSED, "link_version"]),
        *["not a HELLO"] * 3,
    ]
    assert after == [["revoked_gateway", ""], "revoked_gateway"]
    event, error, sealed = failed  # a dead generator: no challenge, and records are sealed as before
    assert event == ["random_failed", "generator", "repetition count"]
    assert error == "no random number for a challenge" and sealed > 6 + 8
