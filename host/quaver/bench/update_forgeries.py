"""Offers a node releases that it must not take, and says which it took, and which it did not count.

Forged and truncated ones, older ones and the one that runs, expired ones, those of other boards; and chunks of a
genuine release that are not what was signed. The node's own code decides, on the MicroPython unix port
(`guest/update_forgeries.py`). At the end it is offered the genuine release, which it must take.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from quaver.bench.guest_program import run_guest
from quaver.release.files import listing
from quaver.release.manifest import BoardPart, Manifest
from quaver.release.signing import PrivateKey

_NOW = 1_800_000_000
_NODE = bytes(range(8))
_RUNS = 6  # the sequence number of what the node runs
_MPY = 6
_LIMIT_S = 4 * 3600
_EACH = 12  # envelopes of a class that is signed
_FILES = {"firmware.txt": 40, "main.py": 700, "node/a.mpy": 1024, "node/b.mpy": 2500}  # bytes of each


@dataclass(frozen=True)
class Tried:
    """tried, taken: by class; events: refusals that the node told, by subject; wrong: what else was not as it must be,
    the first few.
    """

    tried: dict[str, int]
    taken: dict[str, int]
    events: dict[str, int]
    wrong: tuple[str, ...]


def offer(count: int, seed: int, unix_s: int = _NOW) -> Tried:
    """Offer `count` of them, of each class as many. seed: of what is made up. unix_s: by the node's clock.

    Raises BoardError.
    """
    chance = random.Random(seed)  # noqa: S311  to be made again
    secret, other = (ec.derive_private_key(chance.getrandbits(255) | 1, ec.SECP256R1()) for _ in range(2))
    key, stranger = PrivateKey(secret), PrivateKey(other)
    files = {path: chance.randbytes(size) for path, size in _FILES.items()}
    named = listing(files)

    def good(number: int) -> Manifest:
        part = BoardPart("unix", _MPY, (), listing=hashlib.sha256(named).digest(), size=len(named))
        return Manifest(
            _RUNS + 1 + number,
            "1.0.0",
            expires=_NOW + 1 + chance.randrange(10**8),
            boards={"unix": part},
            sbom=chance.randbytes(32),
        )

    manifests = [good(number) for number in range(_EACH)]
    envelopes = [key.sign(manifest.encode()) for manifest in manifests]
    mine, others = key.public.key_id, stranger.public.key_id

    def made(change: Callable[[Manifest], Manifest]) -> list[str]:
        return [key.sign(change(manifest).encode()).hex() for manifest in manifests]

    def part(**changes: Any) -> Callable[[Manifest], Manifest]:
        return lambda manifest: replace(manifest, boards={"unix": replace(manifest.boards["unix"], **changes)})

    by_stranger = [stranger.sign(manifest.encode()) for manifest in manifests]
    classes = {
        "played again": made(lambda manifest: replace(manifest, sequence=_RUNS)),
        "older": made(lambda manifest: replace(manifest, sequence=1 + chance.randrange(_RUNS - 1))),
        "expired": made(lambda manifest: replace(manifest, expires=_NOW - chance.randrange(10**8))),
        "for another board": made(lambda manifest: replace(manifest, boards={"pico_w": manifest.boards["unix"]})),
        "for another MicroPython": made(part(micropython=("1.0.0",))),
        "for another .mpy version": made(part(mpy=_MPY - 1)),
        "for another node to step down": made(
            lambda manifest: replace(manifest, sequence=_RUNS - 1, downgrade=(chance.randbytes(8),))
        ),
        "of another form": [
            key.sign(cbor2.dumps({**cbor2.loads(manifest.encode()), 1: 2}, canonical=True)).hex()
            for manifest in manifests
        ],
        "signed by a stranger": [envelope.hex() for envelope in by_stranger],
        "signed by a stranger in our name": [envelope.replace(others, mine, 1).hex() for envelope in by_stranger],
        "signed for another purpose": [_repurposed(envelope, secret).hex() for envelope in envelopes],
    }
    report = run_guest(
        "update_forgeries",
        {
            "seed": seed,
            "count": count,
            "own": {"key": key.public.xy.hex(), "sequence": _RUNS, "node": _NODE.hex()},
            "genuine": [envelope.hex() for envelope in envelopes],
            "classes": classes,
            "contents": [content.hex() for content in (named, *files.values())],
            "unix_s": unix_s,
        },
        limit_s=_LIMIT_S,
    )
    return Tried(report["tried"], report["taken"], report["told"], tuple(report["wrong"]))


def _repurposed(envelope: bytes, secret: ec.EllipticCurvePrivateKey) -> bytes:
    """The envelope with a signature of the same key that was made for something else than a release."""
    protected, _, payload, _ = cbor2.loads(envelope).value
    signed = cbor2.dumps(["Signature1", protected, b"quaver", payload], canonical=True)
    r, s = utils.decode_dss_signature(secret.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return envelope[:-64] + r.to_bytes(32, "big") + s.to_bytes(32, "big")
