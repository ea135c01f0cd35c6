"""Puts a release at a broker, for nodes to read: a retained message for each chunk of each content.

The topic is SITE/release/HASH/N: the first 8 bytes of the content's SHA-256 in hexadecimal, and the chunk's number from
0. A chunk is 1,024 bytes, the last one of a content what is left. Contents that several releases share are there once.
"""

from __future__ import annotations

import hashlib
import queue
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quaver.broker.address import BrokerUrl
from quaver.broker.client import CONNECT_S, connect, mqtt_client, no_answer, refused
from quaver.errors import BrokerError, ReleaseError
from quaver.release.bundle import Release

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CHUNK = 1024
_SITE = re.compile(r"[^/+#\0]{1,64}")
_QUIET_S = 0.5  # retained messages come at once, one behind the other
_SENT_S = 30.0


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
    with _Session(url, ca, f"{site}/release/+/+") as session:
        there = session.retained()
        missing = {topic: chunk for topic, chunk in chunks.items() if there.get(topic) != chunk}
        for done, (topic, chunk) in enumerate(missing.items()):
            progress(done, len(missing))
            session.put(topic, chunk)
    return Published(len(chunks), sum(map(len, chunks.values())), len(missing))


class _Session:
    """A connection that sees what is retained below `topics`; a context manager. Raises BrokerError."""

    def __init__(self, url: BrokerUrl, ca: Path | None, topics: str) -> None:
        self._url = url
        self._up: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        client = mqtt_client(url, ca)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = lambda *_: self._up.put("connection lost")
        client.on_message = lambda _client, _data, message: self._inbox.put((message.topic, bytes(message.payload)))
        self._client = client
        self._topics = topics

    def __enter__(self) -> Self:
        connect(self._client, self._url)
        try:
            refusal = self._up.get(timeout=CONNECT_S)
        except queue.Empty:
            refusal = no_answer(self._url)
        if refusal:
            self.__exit__(None, None, None)
            raise BrokerError(f"broker {self._url}: {refusal}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Client, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._up.put(refused(code))
            return
        client.subscribe(self._topics, qos=1)

    def _subscribed(self, _client: Client, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        refused = any(code.is_failure for code in codes)
        self._up.put("refused the subscription; allow this user to read and write SITE/release/#" if refused else "")

    def retained(self) -> dict[str, bytes]:
        """What there is, once nothing more has come for a moment."""
        found: dict[str, bytes] = {}
        while True:
            try:
                topic, payload = self._inbox.get(timeout=_QUIET_S)
            except queue.Empty:
                return found
            found[topic] = payload

    def put(self, topic: str, chunk: bytes) -> None:
        """Have the broker keep it. Raises BrokerError."""
        sent = self._client.publish(topic, chunk, qos=1, retain=True)
        try:
            sent.wait_for_publish(_SENT_S)
        except (ValueError, RuntimeError) as error:
            raise BrokerError(f"broker {self._url}: connection lost; call it again, it goes on") from error
        if not sent.is_published():
            raise BrokerError(
                f"broker {self._url}: did not accept a chunk within {_SENT_S:.0f} s; call it again, it goes on"
            )
