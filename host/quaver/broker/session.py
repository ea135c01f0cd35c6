"""A connection that hears topics and publishes: for who commands nodes, publishes releases, rolls them out.

Connecting raises at once when the broker is down or refuses; a connection that is lost afterwards is made again.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from quaver.broker.address import BrokerUrl
from quaver.broker.client import CONNECT_S, connect, mqtt_client, no_answer, refused
from quaver.errors import BrokerError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_LOST = "connection lost"
_RETRY_S = (1, 8)  # between attempts to reconnect: the first, and the most
_SENT_S = 30.0


class Heard(NamedTuple):
    """A message that came; number and qos are what `ack` takes. retained: the broker had it before the subscription."""

    topic: str
    payload: bytes
    number: int
    qos: int
    retained: bool


class Session:
    """topics: what it hears, each with its QoS. may: what the broker must allow this user, for a message.

    name: of the session that the broker keeps while it is away; each message is then to be acknowledged. A context
    manager; entering raises BrokerError.
    """

    def __init__(
        self, url: BrokerUrl, topics: Iterable[tuple[str, int]], ca: Path | None = None, *, may: str, name: str = ""
    ) -> None:
        self.url = url
        self.up = False
        self._may = may
        self._ca = ca
        self._name = name
        self._topics = list(topics)
        self._first: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        client = mqtt_client(url, ca, name)
        client.reconnect_delay_set(*_RETRY_S)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        self._client = client

    def __enter__(self) -> Self:
        connect(self._client, self.url)
        try:
            refusal = self._first.get(timeout=CONNECT_S)
        except queue.Empty:
            refusal = _LOST
        if refusal:
            self._stop()
            raise BrokerError(f"broker {self.url}: {no_answer(self.url) if refusal == _LOST else refusal}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    # paho calls these in its own thread

    def _connected(self, client: Client, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._first.put(refused(code))
            return
        if self._topics:
            client.subscribe(self._topics)
        else:  # it only publishes
            self.up = True
            self._first.put("")

    def _subscribed(self, _client: Client, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        failed = any(code.is_failure for code in codes)
        self.up = not failed
        self._first.put(f"refused the subscription; allow this user to {self._may}" if failed else "")

    def _disconnected(self, *_: object) -> None:
        self.up = False
        self._first.put(_LOST)

    def _message(self, _client: Client, _data: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # no topic of ours
            self._client.ack(message.mid, message.qos)
            return
        self._inbox.put(Heard(topic, bytes(message.payload), message.mid, message.qos, message.retain))

    # For its owner.

    def get(self, timeout: float) -> Heard | None:
        """The next message, or None after `timeout` seconds without one."""
        try:
            return self._inbox.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None

    def ack(self, heard: Heard) -> None:
        """The broker need not send it again; only in a session that has a name."""
        self._client.ack(heard.number, heard.qos)

    def put(self, topic: str, payload: bytes, what: str, retain: bool = False, within_s: float = _SENT_S) -> None:
        """Publish at QoS 1 and wait until the broker has it. Raises BrokerError; what: is in its message."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        try:
            sent.wait_for_publish(within_s)
        except (ValueError, RuntimeError) as error:
            raise BrokerError(f"broker {self.url}: connection lost; try again") from error
        if not sent.is_published():
            raise BrokerError(f"broker {self.url}: did not accept {what} within {within_s:.0f} s; try again")

    def forget(self) -> None:
        """Leave, and have the broker drop the session and what waits in it. Raises BrokerError."""
        self._stop()
        client = mqtt_client(self.url, self._ca, self._name, forget=True)
        client.on_connect = lambda *_: self._first.put("gone")
        connect(client, self.url)
        try:
            while self._first.get(timeout=CONNECT_S) != "gone":
                pass
        except queue.Empty:
            raise BrokerError(f"broker {self.url}: {no_answer(self.url)}") from None
        finally:
            client.disconnect()
            client.loop_stop()

    def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1, and let it take its time: what is lost is for the caller to notice."""
        self._client.publish(topic, payload, qos=1)
