"""Puts a release at a broker, for nodes to read: a retained message for each chunk of each content.

The topic is SITE/release/HASH/N: the first 8 bytes of the content's SHA-256 in hexadecimal, and the chunk's number from
0. A chunk is 1,024 bytes, the last one of a content what is left. Contents that several releases share are there once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quaver.broker.address import BrokerUrl
from quaver.broker.session import Session
from quaver.errors import ReleaseError
from quaver.release.bundle import Release

CHUNK = 1024
_SITE = re.compile(r"[^/+#\0]{1,64}")
_QUIET_S = 0.5  # retained messages come at once, one behind the other


@dataclass(frozen=True)
class Published:
    """chunks, bytes: of the release at the broker; sent: how many chunks of them were not there yet."""

    chunks: int
    bytes: int
    sent: int


def chunks_of(release: Release, site: str) -> dict[str, bytes]:
    """Topic -> chunk of all that nodes read of a release. Raises ReleaseError for what is not a site's name."""
    if not _SITE.fullmatch(site):
        raise ReleaseError(f"site {site!r}: expected the first level of the nodes' topics, without / + and #")
    contents = [content for digest, content in release.contents.items() if digest != release.manifest.sbom]
    found = {}
    for content in (*release.envelopes, *contents):
        name = hashlib.sha256(content).hexdigest()[:16]
        for at in range(0, len(content), CHUNK):
            found[f"{site}/release/{name}/{at // CHUNK}"] = content[at : at + CHUNK]
    return found


def publish(
    release: Release,
    site: str,
    *,
    url: BrokerUrl,
    ca: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Published:
    """Put at the broker what of the release is not there. Raises ReleaseError, BrokerError."""
    chunks = chunks_of(release, site)
    with Session(url, [(f"{site}/release/+/+", 1)], ca, may="read and write SITE/release/#") as session:
        there = _retained(session)
        missing = {topic: chunk for topic, chunk in chunks.items() if there.get(topic) != chunk}
        for done, (topic, chunk) in enumerate(missing.items()):
            progress(done, len(missing))
            session.put(topic, chunk, "a chunk", retain=True)
    return Published(len(chunks), sum(map(len, chunks.values())), len(missing))


def _retained(session: Session) -> dict[str, bytes]:
    """What there is, once nothing more has come for a moment."""
    found: dict[str, bytes] = {}
    while (heard := session.get(_QUIET_S)) is not None:
        found[heard.topic] = heard.payload
    return found
