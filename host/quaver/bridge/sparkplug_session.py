"""The MQTT session of a Sparkplug edge node: Sparkplug Specification 3.0, chapters 4 and 5.

A connection of the MQTT library, served by its owner's thread alone: a library that connects again by itself would do
so with the last will of before, and each connection has to have a bdSeq of its own.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.bridge.sink import SinkDown
from quaver.bridge.sparkplug_payload import BOOLEAN, INT64, Metric, commands, encode, join, now_ms
from quaver.bridge.spec import Sparkplug, broker_of
from quaver.bridge.state import State
from quaver.broker.client import CONNECT_S, KEEPALIVE_S, mqtt_client, refused, unreachable

if TYPE_CHECKING:
    from paho.mqtt.client import Client

NAMESPACE = "spBv1.0"
_REBIRTH = "Node Control/Rebirth"
_SETTLE_S = 30.0
_AGAIN_S = 0.25  # between looks whether a primary host has come
_HEARD_MAX = 1 << 16  # bytes of a command or a state: more is none


class EdgeNode:
    """state: the file that keeps its bdSeq. rebirth: a host has asked for it.

    Methods raise SinkDown where the connection is lost or refused, or the primary host is offline.
    """

    def __init__(self, spec: Sparkplug, state: Path) -> None:
        self.rebirth = False
        self._spec = spec
        self._url = broker_of(spec)
        self._state = state
        self._host = f"{NAMESPACE}/STATE/{spec.primary_host}" if spec.primary_host else ""
        self._host_online = False
        self._host_ms: float | None = None  # of the last state that was taken
        self._client: Client | None = None
        self._answers = 0  # of the broker, to subscriptions
        self._refusal = ""
        self._heard = 0
        self._born = False
        self._bd_seq = self._seq = 0

    def connect(self) -> None:
        """Have a session, and the primary host online. A session that waits for the host is kept from call to call."""
        if self._client is None:
            self._open()
        self.serve()
        if self._host and not self._host_online:
            raise self._no_host()

    def bear(self, metrics: Iterable[Metric]) -> None:
        """The birth of the node: from here on data may be published, and hosts forget what they knew of it."""
        now = now_ms()
        own = (Metric("bdSeq", INT64, self._bd_seq, now), Metric(_REBIRTH, BOOLEAN, False, now))
        self.rebirth, self._born, self._seq = False, True, 0
        self.publish("NBIRTH", [*own, *metrics])

    def publish(self, kind: str, metrics: Iterable[Metric], device: str = "") -> None:
        """Send a message of the node, or of a device."""
        # In the order of their times: clauses operational-behavior-data-publish-nbirth-order, -dbirth-order.
        ordered = sorted(metrics, key=lambda one: one.time_ms)
        self._send(kind, device, encode(ordered, now_ms(), self._seq, units=kind.endswith("BIRTH")))

    def publish_data(self, device: str, moments: Sequence[bytes]) -> None:
        """Send what a device measured at each of some moments, in their order: encoded metrics."""
        self._send("DDATA", device, join(moments, now_ms(), self._seq))

    def _send(self, kind: str, device: str, payload: bytes) -> None:
        """At QoS 0, not retained: clauses payloads-*-qos and -retain."""
        assert self._client is not None
        self._client.publish(self._topic(kind) + (f"/{device}" if device else ""), payload, qos=0)
        self._seq = (self._seq + 1) % 256

    def settle(self) -> None:
        """Wait until the broker has what was published.

        At QoS 0 it acknowledges nothing; but it takes a client's packets in their order, and answers a subscription.
        """
        self._subscribe()
        self._until(lambda: not self._answers, _SETTLE_S)

    def serve(self, seconds: float = 0.0) -> None:
        """Take what has come, and keep the connection; for so long at most while nothing comes."""
        heard = -1
        while heard != self._heard:
            heard = self._heard
            self._loop(seconds)
        if self._born and self._host and not self._host_online:
            self.leave()
            raise self._no_host()

    def leave(self) -> None:
        """End the session with the node's death (chapter 5, termination): the broker publishes no last will then."""
        client = self._client
        if client is not None and client.is_connected():
            try:
                sent = client.publish(self._topic("NDEATH"), self._death(), qos=1)
                self._until(sent.is_published, _SETTLE_S)
                client.disconnect()
            except SinkDown:
                pass  # then the last will tells of it
        self._drop()

    # What is below is of the connection.

    def _open(self) -> None:
        self._drop()
        client = mqtt_client(self._url, self._spec.ca)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        with State(self._state) as state:
            # On the disk before the CONNECT that has it: after a kill the next one has another.
            number = state.count(self._spec.node)
            state.set_count(self._spec.node, number + 1)
            self._bd_seq = number % 256
            client.will_set(self._topic("NDEATH"), self._death(), qos=1, retain=False)
            try:
                client.connect(self._url.host, self._url.port, keepalive=KEEPALIVE_S)
            except (OSError, ValueError) as error:
                state.set_count(self._spec.node, number)  # there was no CONNECT
                raise SinkDown(f"broker {self._url}: {unreachable(error, self._url)}") from error
        connection: Any = client.socket()
        if connection is not None:
            # Else the system keeps a small packet, as that of `settle`, until what went before is acknowledged.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._answers, self._refusal = client, 1, ""
        self._host_online = False
        self._until(lambda: not self._answers, CONNECT_S)  # `_connected` subscribes

    def _drop(self) -> None:
        """Close the connection without a word: the broker publishes the last will."""
        client, self._client, self._born = self._client, None, False
        if client is not None and (connection := client.socket()) is not None:
            connection.close()

    def _topic(self, kind: str) -> str:
        return f"{NAMESPACE}/{self._spec.group}/{kind}/{self._spec.edge_node}"

    def _death(self) -> bytes:
        return encode([Metric("bdSeq", INT64, self._bd_seq, now_ms())], now_ms())

    def _subscribe(self) -> None:
        assert self._client is not None
        self._answers = 1
        self._client.subscribe(self._topic("NCMD"), qos=1)

    def _connected(self, client: Client, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._refusal = refused(code)
            return
        if self._host:
            self._answers += 1
            client.subscribe(self._host, qos=1)
        client.subscribe(self._topic("NCMD"), qos=1)

    def _subscribed(self, _client: Client, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        if any(code.is_failure for code in codes):
            self._refusal = "refused the subscription; allow this user to read the topics of docs/bridge.md"
        self._answers -= 1

    def _message(self, _client: Client, _data: Any, message: Any) -> None:
        self._heard += 1
        if len(message.payload) > _HEARD_MAX:
            return
        if message.topic == self._host:
            self._take_state(message.payload)
        elif commands(message.payload).get(_REBIRTH):
            self.rebirth = True

    def _take_state(self, payload: bytes) -> None:
        """A host's state; one that is older than the last is of a session that is no more (chapter 5, the same)."""
        try:
            state = json.loads(payload)
            online, at = state["online"], state["timestamp"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if not isinstance(online, bool) or not isinstance(at, (int, float)):
            return
        if self._host_ms is None or at >= self._host_ms:
            self._host_online, self._host_ms = online, at

    def _no_host(self) -> SinkDown:
        return SinkDown(f"the primary host {self._spec.primary_host} is not online", _AGAIN_S)

    def _until(self, done: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not done():
            self._loop(0.25)
            if time.monotonic() > until:
                self._drop()
                raise SinkDown(f"broker {self._url}: no answer within {seconds:.0f} s")

    def _loop(self, seconds: float) -> None:
        """Wait for the broker so long at most, and have the library take and send what is there."""
        if self._client is None or not _serve(self._client, seconds):
            self._drop()
        if self._refusal:
            self._drop()
            raise SinkDown(f"broker {self._url}: {self._refusal}")
        if self._client is None:
            raise SinkDown(f"broker {self._url}: connection lost")


def _serve(client: Client, seconds: float) -> bool:
    """Whether the connection holds."""
    connection = client.socket()
    if connection is None:
        return False
    held = isinstance(connection, ssl.SSLSocket) and connection.pending()  # what `select` does not see
    readable, writable, _ = select.select([connection], [connection] * client.want_write(), [], 0 if held else seconds)
    codes = (
        client.loop_read() if readable or held else 0,
        client.loop_write() if writable else 0,
        client.loop_misc(),
    )
    return not any(codes)
