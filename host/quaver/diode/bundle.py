"""A bundle: records as a store has them, numbered and signed; one without the right signature is not read.

    "QVRDIODE", version (1 byte), signature (64 bytes, Ed25519: RFC 8032), payload

The signature is over the first nine bytes and the payload, which is CBOR (RFC 8949), deflated (RFC 1950).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quaver.errors import DiodeError
from quaver.files.private import read_private, write_private

VERSION = 1
BUNDLE_MAX = 1 << 20  # bytes
RECORDS = 200  # of one bundle: what one loss costs
_MAGIC = b"QVRDIODE"
_HEAD = len(_MAGIC) + 1
_SIGNATURE = 64
_OPEN_MAX = 8 << 20
_PEM_MAX = 4096


class Record(NamedTuple):
    """One record of a store. node: its id there. tag: the seal's own check. body: JSON, all its fields."""

    node: bytes
    topic: str
    message_class: str
    boot: int
    seq: int
    tag: bytes
    received_ms: int
    body: str


_FORMS = (bytes, str, str, int, int, bytes, int, str)
_NUMBER_END = 1 << 63  # of a store


@dataclass(frozen=True)
class Bundle:
    """number: counts the bundles of a stream from 0. stream: names one sender's state, 12 hexadecimal digits."""

    stream: str
    number: int
    records: Sequence[Record]


def create_key(path: Path) -> Path:
    """Make a key pair: `path`, and its public half beside it, whose path is returned. Raises DiodeError."""
    public = path.with_name(path.name + ".pub")
    if public.exists():
        raise DiodeError(f"{public}: exists; name a new file")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem, DiodeError, fresh=True)
    try:
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    except OSError as error:
        path.unlink()
        raise DiodeError(f"{public}: can't be written ({error.strerror}); free disk space or name another") from error
    return public


def read_key(path: Path) -> Ed25519PrivateKey:
    """Raises DiodeError."""
    pem = read_private(path, _PEM_MAX, DiodeError)
    if pem is None:
        raise DiodeError(f"{path}: there is no such key; make one with: quaver diode key {path}")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise DiodeError(f"{path}: is no key of quaver diode; make one with: quaver diode key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise DiodeError(f"{path}: is no key of quaver diode; make one with: quaver diode key")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Raises DiodeError."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes()[:_PEM_MAX])
    except OSError as error:
        raise DiodeError(f"{path}: can't be read ({error.strerror}); name the .pub file of the sender's key") from error
    except ValueError as error:
        raise DiodeError(f"{path}: is no public key; name the .pub file of the sender's key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise DiodeError(f"{path}: is no public key of quaver diode; name the .pub file of the sender's key")
    return key


def pack(bundle: Bundle, key: Ed25519PrivateKey) -> bytes:
    """The bundle as it travels."""
    content = [bundle.stream, bundle.number, [list(record) for record in bundle.records]]
    payload = zlib.compress(cbor2.dumps(content))
    head = _MAGIC + bytes([VERSION])
    return head + key.sign(head + payload) + payload


def unpack(data: bytes, key: Ed25519PublicKey) -> Bundle:
    """The bundle in `data`, whose signature is right. Raises DiodeError, which says why it is not used."""
    if not data.startswith(_MAGIC) or len(data) < _HEAD + _SIGNATURE:
        raise DiodeError("is no bundle of quaver diode, or is cut")
    if data[_HEAD - 1] != VERSION:
        raise DiodeError(f"is of version {data[_HEAD - 1]}, this quaver reads {VERSION}; update quaver")
    payload = data[_HEAD + _SIGNATURE :]
    try:
        key.verify(data[_HEAD : _HEAD + _SIGNATURE], data[:_HEAD] + payload)
    except InvalidSignature:
        raise DiodeError("is not signed by the key that --from names, or was changed since: it is not used") from None
    try:
        inflate = zlib.decompressobj()
        stream, number, records = cbor2.loads(inflate.decompress(payload, _OPEN_MAX))
        found = [Record(*_checked(record)) for record in records]
        if inflate.unconsumed_tail or type(stream) is not str or type(number) is not int or not _fits(number):
            raise ValueError
    except (zlib.error, cbor2.CBORDecodeError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise DiodeError("is signed, and holds no records: the sender is of another kind") from error
    return Bundle(stream, number, found)


def _checked(record: Sequence[Any]) -> Sequence[Any]:
    if len(record) != len(_FORMS) or any(type(one) is not form for one, form in zip(record, _FORMS, strict=True)):
        raise ValueError
    if not all(_fits(one) for one in record if type(one) is int):
        raise ValueError
    return record


def _fits(number: int) -> bool:
    return -_NUMBER_END <= number < _NUMBER_END


def digest(data: bytes) -> bytes:
    """What tells two bundles of one number apart, 8 bytes."""
    return hashlib.sha256(data).digest()[:8]
