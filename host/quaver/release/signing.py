"""Signatures of releases: COSE_Sign1 with ES256 (RFC 9052, 4.2; RFC 9053, 2.1), and the keys that make and check them.

A private key is a PKCS#8 file of mode 0600, encrypted with a passphrase; its public half lies beside it. A key is named
by its key id: the first 8 bytes of the SHA-256 of x and y. Signing is deterministic (RFC 6979): the same manifest and
key give the same bytes on any machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from quaver.build.tree import RELEASE_KEY
from quaver.errors import ReleaseError
from quaver.files.private import data_path, read_private, write_private

PASSPHRASE_MIN = 8  # characters
_CONTEXT = b"quaver release"  # external_aad: a signature for another purpose is none of ours
_PROTECTED = cbor2.dumps({1: -7}, canonical=True)  # alg: ES256
_TAG = 18  # COSE_Sign1
_KID = 4
_PEM_MAX = 4096


def default_key() -> Path:
    """`QUAVER_RELEASE_KEY`, or "release-key.pem" in the user's data folder for "quaver"."""
    return data_path("QUAVER_RELEASE_KEY", "release-key.pem")


def public_of(path: Path) -> Path:
    """Where the public half of the private key in `path` lies."""
    return path.with_suffix(".pub.pem")


def trusted() -> dict[str, bytes]:
    """What a board gets by cable so that it trusts this machine's key: path -> content; empty without a key here.

    Raises ReleaseError.
    """
    path = public_of(default_key())
    return {RELEASE_KEY: read_public_key(path).xy} if path.exists() else {}


class PublicKey:
    """A key that checks releases. xy: its 64 bytes as nodes hold them, x and y big-endian."""

    def __init__(self, xy: bytes) -> None:
        x, y = int.from_bytes(xy[:32], "big"), int.from_bytes(xy[32:], "big")
        try:
            self._key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError as error:
            raise ReleaseError("a public key is not a point of the curve P-256: it is corrupt") from error
        self.xy = xy

    @property
    def key_id(self) -> bytes:
        """8 bytes."""
        return hashlib.sha256(self.xy).digest()[:8]

    def verify(self, envelope: bytes) -> bytes:
        """The payload of a COSE_Sign1 that this key has signed. Raises ReleaseError."""
        protected, key_id, payload, signature = _parts(envelope)
        if key_id != self.key_id:
            raise ReleaseError(
                f"the release is signed by key {key_id.hex()}, this key is {self.key_id.hex()}: give the other key"
            )
        raw = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        try:
            self._key.verify(raw, _to_be_signed(protected, payload), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise ReleaseError(
                f"the signature is not that of key {key_id.hex()}: the release was changed after it was signed"
            ) from None
        return payload


class PrivateKey:
    """A key that signs releases; it stays out of every repr."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        self.public = PublicKey(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))

    def sign(self, payload: bytes) -> bytes:
        """The tagged COSE_Sign1 over `payload`, which is in it."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = utils.decode_dss_signature(self._key.sign(_to_be_signed(_PROTECTED, payload), algorithm))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        parts = [_PROTECTED, {_KID: self.public.key_id}, payload, signature]
        return cbor2.dumps(cbor2.CBORTag(_TAG, parts), canonical=True)

    def sign_bytes(self, data: bytes) -> bytes:
        """A signature of its own, for a file that no node reads: ECDSA with SHA-256, DER, as openssl verifies it."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def create_key(path: Path, passphrase: str) -> PrivateKey:
    """Make a fresh key: `path`, encrypted, and its public half beside it. Raises ReleaseError; replaces no file."""
    if len(passphrase) < PASSPHRASE_MIN:
        raise ReleaseError(f"the passphrase is shorter than {PASSPHRASE_MIN} characters: choose a longer one")
    public = public_of(path)
    if os.path.lexists(public):
        raise ReleaseError(f"{public}: exists; name a new file with --key")
    key = PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    pem = key._key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    write_private(path, pem, ReleaseError, fresh=True)
    try:
        public.write_bytes(_public_pem(key.public))
    except OSError as error:
        path.unlink()
        raise ReleaseError(f"{public}: can't be written ({error.strerror}); free disk space or name another") from error
    return key


def read_private_key(path: Path, passphrase: str) -> PrivateKey:
    """The private key in `path`. Raises ReleaseError."""
    pem = read_private(path, _PEM_MAX, ReleaseError)
    if pem is None:
        raise ReleaseError(f"{path}: no such key; make one with: quaver release keys create")
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode())
    except TypeError as error:
        raise ReleaseError(f"{path}: is not encrypted; make a key with: quaver release keys create") from error
    except ValueError as error:
        raise ReleaseError(f"{path}: is not opened by this passphrase, or is corrupt; try again") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ReleaseError(f"{path}: is not a key of the curve P-256; make one with: quaver release keys create")
    return PrivateKey(key)


def read_public_key(path: Path) -> PublicKey:
    """The public key in `path`, PEM. Raises ReleaseError."""
    try:
        with path.open("rb") as file:
            pem = file.read(_PEM_MAX + 1)
        key = serialization.load_pem_public_key(pem)
    except OSError as error:
        raise ReleaseError(f"{path}: can't be read ({error.strerror}); name the public key of a release key") from error
    except ValueError as error:
        raise ReleaseError(f"{path}: is not a public key in PEM; name the .pub.pem of a release key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ReleaseError(f"{path}: is not a key of the curve P-256; name the .pub.pem of a release key")
    numbers = key.public_numbers()
    return PublicKey(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))


def signer_of(envelope: bytes) -> bytes:
    """The key id that a COSE_Sign1 claims, 8 bytes. Raises ReleaseError."""
    return _parts(envelope)[1]


def payload_of(envelope: bytes) -> bytes:
    """The payload of a COSE_Sign1, whose signature is not checked. Raises ReleaseError."""
    return _parts(envelope)[2]


def _public_pem(key: PublicKey) -> bytes:
    return key._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _parts(envelope: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """(protected, key id, payload, signature) of a COSE_Sign1 in exactly the form that `sign` makes."""
    try:
        found = cbor2.loads(envelope)
    except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise _wrong() from error
    parts = found.value if isinstance(found, cbor2.CBORTag) and found.tag == _TAG else None
    if not isinstance(parts, (list, tuple)) or len(parts) != 4 or cbor2.dumps(found, canonical=True) != envelope:
        raise _wrong()
    protected, unprotected, payload, signature = parts
    if protected != _PROTECTED or not isinstance(unprotected, Mapping) or set(unprotected) != {_KID}:
        raise _wrong()
    key_id = unprotected[_KID]
    if not isinstance(key_id, bytes) or len(key_id) != 8 or not isinstance(payload, bytes):
        raise _wrong()
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise _wrong()
    return protected, key_id, payload, signature


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052, 4.4)."""
    return cbor2.dumps(["Signature1", protected, _CONTEXT, payload], canonical=True)


def _wrong() -> ReleaseError:
    return ReleaseError("a signature is not a COSE_Sign1 with ES256: the release is corrupt, or was not made by quaver")
