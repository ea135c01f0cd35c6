"""Subscribes at a broker and decodes the messages of nodes into records; a message that can't be read is counted."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.client import CONNECT_S, Silence, connect, mqtt_client, no_answer, refused
from quaver.errors import BrokerError
from quaver.messages.record import MessageError, Record, decode, one_line

if TYPE_CHECKING:
    from quaver.messages.sealing import Opener

_RETRY_S = (1, 8)  # seconds between reconnects: the first, and the most


@dataclass(frozen=True)
class Problem:
    """A message that could not be taken as it was; `kind` is what it is counted under."""

    kind: str
    line: str
    topic: str


@dataclass(frozen=True)
class Link:
    """The connection to the broker went up or down."""

    up: bool
    line: str


@dataclass(frozen=True)
class Notice:
    """Something that a person should know and no message said."""

    line: str


Item = Record | Problem | Link | Notice


class Monitor:
    """A subscription at a broker; a context manager. `get` and iteration hand out what arrived, in order.

    Connecting raises BrokerError at once when the broker is down or refuses; later interruptions are Link
    items, and it reconnects by itself. `problems` counts what could not be taken, by kind. ca: who signed the
    broker's certificate, PEM; None trusts whom this system does. opener: for sealed messages, which are then the
    only ones that are taken. topics: a filter, or all that can be nodes'. clock: by which a silence is told once, in
    seconds; None tells of none.
    """

    def __init__(
        self,
        url: BrokerUrl,
        topics: str | None = None,
        ca: Path | None = None,
        opener: Opener | None = None,
        clock: Callable[[], float] | None = time.monotonic,
    ) -> None:
        self._opener = opener
        self.url = url
        self.problems: Counter[str] = Counter()
        self._topics = node_topics() if topics is None else (topics,)
        self._clock = clock
        self._silence: Silence | None = None
        self._heard = False
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._known: set[str] = set()
        self._strangers: set[str] = set()
        self._subscribed = threading.Event()
        self._refusal: str | None = None
        self._was_up = False
        self._stopping = False
        client = mqtt_client(url, ca)
        client.reconnect_delay_set(*_RETRY_S)
        client.on_connect = self._connected
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        self._client = client

    def start(self) -> Self:
        connect(self._client, self.url)
        if not self._subscribed.wait(CONNECT_S) or self._refusal is not None:
            self.stop()
            raise BrokerError(f"broker {self.url}: {self._refusal or no_answer(self.url)}")
        self._silence = Silence(self.url, self._clock) if self._clock else None
        return self

    def stop(self) -> None:
        self._stopping = True
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item, or None after `timeout` seconds without one."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            line = self._silence.tell(self._heard) if self._silence else ""
            return Notice(line) if line else None

    def __iter__(self) -> Iterator[Item]:
        while True:
            # A wait without end would hold back Ctrl-C on some systems.
            item = self.get(timeout=1.0)
            if item is not None:
                yield item

    # paho calls these in its own thread; an exception here would end that thread, so none may escape.

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        if code.is_failure:
            self._refuse(refused(code))
            return
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, codes: list[ReasonCode], _props: Any) -> None:
        if any(code.is_failure for code in codes):
            refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
            self._refuse(f"refused the subscription to {', '.join(refused)}; allow this user to read it")
            return
        if self._was_up:
            self._items.put(Link(True, f"broker {self.url}: connected again"))
        self._was_up = True
        self._subscribed.set()

    def _refuse(self, reason: str) -> None:
        if self._subscribed.is_set():
            self._items.put(Link(False, f"broker {self.url}: {reason}"))
        else:
            self._refusal = reason
            self._subscribed.set()

    def _disconnected(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        if self._stopping:
            return
        if not self._subscribed.is_set():
            self._refuse("")
        elif self._was_up:
            self._items.put(Link(False, f"broker {self.url}: connection lost; reconnecting"))

    def _message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._heard = True
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._problem("topic", "?", "a topic that is not UTF-8")
            return
        if not message.payload and topic.endswith("/status"):  # what the broker kept of it was taken back
            self._items.put(Notice(f"{one_line(topic.rpartition('/')[0])}: retired"))
            return
        try:
            record = decode(topic, bytes(message.payload), opener=self._opener)
        except MessageError as error:
            self._problem(error.kind, topic, str(error))
            return
        if record.kind == "status":
            self._known.add(record.node)
        elif record.node not in self._known and record.node not in self._strangers:
            self._strangers.add(record.node)
            self._problem("node", topic, "unknown node: it has published no status; its messages are shown")
        self._items.put(record)

    def _problem(self, kind: str, topic: str, line: str) -> None:
        self.problems[kind] += 1
        self._items.put(Problem(kind, f"{one_line(topic)}: {line}", topic))
