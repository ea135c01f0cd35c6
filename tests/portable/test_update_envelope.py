"""What a node makes of a release: only a manifest that its key has signed is read, and only what is for it is taken."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st
from update import p256
from update.envelope import Manifest, Refused, payload

from quaver.release.bundle import build_release
from quaver.release.signing import PrivateKey
from quaver_wire.decoder import loads
from tests.programs import program

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
OTHER = PrivateKey(ec.derive_private_key(0x07E4, ec.SECP256R1()))
UNTIL = 2_000_000_000
NODE = bytes(range(8))
MPY = 6 | 3 << 8 | 2 << 10

# RFC 6979, A.2.5: the key, and the signature of "sample" with SHA-256
RFC_KEY = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
RFC_SIGNATURE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)
SAMPLE = hashlib.sha256(b"sample").digest()


def verified(key: bytes, digest: bytes, signature: bytes) -> bool:
    steps = list(p256.verify(key, digest, signature))
    assert steps[:-1] == [None] * (len(steps) - 1)
    return bool(steps[-1])


def point(secret: int) -> bytes:
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_the_published_signature_is_good_and_no_other_with_a_bit_changed() -> None:
    assert verified(RFC_KEY, SAMPLE, RFC_SIGNATURE)
    for at in range(0, 64, 7):
        changed = bytearray(RFC_SIGNATURE)
        changed[at] ^= 1 << at % 8
        assert not verified(RFC_KEY, SAMPLE, bytes(changed))


@given(st.integers(1, N - 1), st.binary(max_size=40))
def test_what_another_library_signs_is_good(secret: int, message: bytes) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    digest = hashlib.sha256(message).digest()
    assert verified(point(secret), digest, pair(r, s))
    assert verified(point(secret), digest, pair(r, N - s))  # the other one of ECDSA: nonces are not made of signatures
    assert not verified(point(secret), hashlib.sha256(message + b"x").digest(), pair(r, s))
    assert not verified(point(secret % (N - 1) + 1), digest, pair(r, s))


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (RFC_KEY, pair(0, 1)),
        (RFC_KEY, pair(1, 0)),
        (RFC_KEY, pair(N, 1)),
        (RFC_KEY, pair(1, N)),
        (RFC_KEY, RFC_SIGNATURE[:63]),
        (RFC_KEY, RFC_SIGNATURE + b"\0"),
        (RFC_KEY, pair(int.from_bytes(RFC_SIGNATURE[:32], "big") + N & (1 << 256) - 1, 1)),
        (bytes(64), RFC_SIGNATURE),
        (RFC_KEY[:63], RFC_SIGNATURE),
        (RFC_KEY[:-1] + bytes([RFC_KEY[-1] ^ 1]), RFC_SIGNATURE),  # not on the curve
        (pair(int.from_bytes(RFC_KEY[:32], "big"), P), RFC_SIGNATURE),
    ],
)
def test_numbers_out_of_range_are_no_signature_and_no_key(key: bytes, signature: bytes) -> None:
    assert not verified(key, SAMPLE, signature)


def test_sums_that_meet_infinity_or_a_double_are_right() -> None:
    """The key G or -G, or digest 0: the sum of two multiples of one point, of which a formula may not hold."""
    for secret in (1, 2, 3, 5, 7, N - 1, N - 2):
        for digest in (bytes(32), (1).to_bytes(32, "big"), b"\xff" * 32, N.to_bytes(32, "big")):
            for nonce in (1, 2, 3, N - 1, 12345):
                r = int.from_bytes(point(nonce)[:32], "big") % N
                s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * secret) % N
                if s:
                    assert verified(point(secret), digest, pair(r, s))
                # nonce * s = e + r * d; where the sum is infinity there is no r
                bad = (N - int.from_bytes(digest, "big") * pow(secret, -1, N)) % N
                if bad:
                    assert not verified(point(secret), digest, pair(bad, 1))


def test_the_node_itself_checks_it_so(micropython: Callable[..., Any]) -> None:
    vectors = [
        (RFC_KEY.hex(), SAMPLE.hex(), RFC_SIGNATURE.hex()),
        (RFC_KEY.hex(), SAMPLE[::-1].hex(), RFC_SIGNATURE.hex()),
    ]
    assert micropython(program(__file__, "verify"), argument=vectors) == [True, False]


def changed_envelope(**changes: Any) -> bytes:
    release = build_release(["unix"], 7, expires=UNTIL, key=KEY)
    values = cbor2.loads(release.manifest.encode())
    return KEY.sign(cbor2.dumps({**values, **{int(key[1:]): value for key, value in changes.items()}}, canonical=True))


@cache
def envelope() -> bytes:
    return build_release(["unix", "pico_w"], 7, expires=UNTIL, key=KEY, next_key=OTHER).envelopes[0]


def opened(data: bytes, key: PrivateKey = KEY) -> bytes:
    *steps, last = payload(data, key.public.xy)
    assert not any(steps)
    return last


def manifest(data: bytes | None = None, board: str = "unix") -> Manifest:
    return Manifest(opened(envelope() if data is None else data), board, loads)


def test_a_node_reads_what_the_host_signed() -> None:
    found = manifest()
    assert (found.sequence, found.expires, found.next_key) == (7, UNTIL, OTHER.public.xy)
    assert len(found.listing) == 32
    found.judge(NODE, 6, UNTIL - 1, "1.28.0", MPY)


@given(st.data())
def test_no_changed_cut_or_longer_envelope_is_opened(data: Any) -> None:
    changed = bytearray(envelope())
    how = data.draw(st.sampled_from(("change", "cut", "add", "move")))
    at = data.draw(st.integers(0, len(changed) - 1))
    if how == "change":
        changed[at] ^= data.draw(st.integers(1, 255))
    elif how == "cut":
        del changed[at:]
    elif how == "add":
        changed[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    else:
        changed = changed[at:] + changed[:at]
        if not at:
            return
    with pytest.raises(Refused):
        opened(bytes(changed))


@given(st.binary(max_size=300))
def test_bytes_of_a_stranger_are_refused(data: bytes) -> None:
    for strange in (data, envelope()[:17] + data):
        with pytest.raises(Refused):
            opened(strange)


def test_another_key_is_told_from_a_wrong_signature() -> None:
    with pytest.raises(Refused, match="wrong_key"):
        opened(envelope(), OTHER)
    with pytest.raises(Refused, match="wrong_signature"):
        opened(envelope()[:-1] + bytes([envelope()[-1] ^ 1]))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"_1": 2}, "wrong_version"),
        ({"_5": {"unix": []}}, "malformed"),
        ({"_5": 3}, "malformed"),
        ({"_2": None}, "malformed"),
        ({"_4": "soon"}, "malformed"),
        ({"_8": 5}, "malformed"),
    ],
)
def test_a_signed_manifest_of_another_form_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        manifest(changed_envelope(**changes)).judge(NODE, 6, UNTIL - 1, "1.28.0", MPY)


def test_another_boards_release_is_refused() -> None:
    with pytest.raises(Refused, match="wrong_board"):
        manifest(board="esp32_c3")


@pytest.mark.parametrize(
    ("name", "about", "reason"),
    [
        ("unix", (NODE, 7, UNTIL - 1, "1.28.0", MPY), "old"),
        ("unix", (NODE, 8, UNTIL - 1, "1.28.0", MPY), "old"),
        ("unix", (NODE, 6, UNTIL, "1.28.0", MPY), "expired"),
        ("unix", (NODE, 6, None, "1.28.0", MPY), "no_time"),
        ("pico_w", (NODE, 6, UNTIL - 1, "1.29.0", MPY), "wrong_micropython"),
        ("unix", (NODE, 6, UNTIL - 1, "1.28.0", 7 | 3 << 8), "wrong_micropython"),
        ("unix", (NODE, 6, UNTIL - 1, "1.28.0", 6 | 2 << 8), "wrong_micropython"),
    ],
)
def test_what_is_not_for_this_node_or_not_any_more_is_refused(name: str, about: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        manifest(board=name).judge(*about)


def test_only_a_named_node_steps_down() -> None:
    release = build_release(["unix"], 7, expires=UNTIL, key=KEY, downgrade=[NODE])
    found = Manifest(opened(release.envelopes[0]), "unix", loads)
    found.judge(NODE, 9, UNTIL - 1, "1.28.0", MPY)
    with pytest.raises(Refused, match="old"):
        found.judge(bytes(8), 9, UNTIL - 1, "1.28.0", MPY)
