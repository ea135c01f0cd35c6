"""An MQTT 3.1.1 broker in virtual time, for the nodes of one emulated network.

A real broker lives by the wall clock and answers when it has the processor; with this one the same run is the same
again, packet for packet. It has what nodes and their ingest use: QoS 0 and 1, retained messages, wills, kept sessions
with what waits in them, keep-alive, client take-over. A restart ends every connection and keeps what a Mosquitto with
`persistence` keeps. Who may connect is not asked. Section numbers are those of the standard.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 1, 2, 3, 4, 8, 9
_UNSUBSCRIBE, _UNSUBACK, _PINGREQ, _PINGRESP, _DISCONNECT = 10, 11, 12, 13, 14
_LONGEST = 1 << 20  # bytes of a packet; who sends a longer one is cut off
_IN_FLIGHT = 20  # messages at QoS 1 that a client has not acknowledged, as Mosquitto's max_inflight_messages
_WAITING = 1000  # and those that wait behind them; the next are dropped, as with max_queued_messages


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool = False


class Receiver(Protocol):
    """A subscriber in this process, such as the ingest: takes a message, and has it then, or raises nothing."""

    def __call__(self, message: Message) -> None: ...


class SiteBroker:
    """In the network's thread; `Lan.serve(1883, broker.connection)` opens its door.

    dropped: messages for kept sessions whose queue was full.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._retained: dict[str, Message] = {}
        self._sessions: dict[str, _Session] = {}
        self._receivers: list[tuple[str, Receiver]] = []
        self._connections: dict[_Connection, None] = {}

    def connection(self) -> asyncio.Protocol:
        return _Connection(self)

    def receive(self, topic_filter: str, receiver: Receiver) -> None:
        """Have every message that fits the filter from now on, as it is published."""
        self._receivers.append((topic_filter, receiver))

    def publish(self, message: Message, local: bool = True) -> None:
        """To whom it may concern, in the order of their subscriptions; not local: to no receiver."""
        if message.retain:
            if message.payload:
                self._retained[message.topic] = message
            else:
                self._retained.pop(message.topic, None)
        for topic_filter, receiver in self._receivers if local else ():
            if matches(message.topic, topic_filter):
                receiver(message)
        for session in list(self._sessions.values()):
            qos = max((q for f, q in session.subscriptions.items() if matches(message.topic, f)), default=-1)
            if qos >= 0:
                self._hand(session, Message(message.topic, message.payload, min(qos, message.qos)))

    def restart(self) -> None:
        """It stops: connections end; sessions that are kept, and retained messages, are there when it serves again."""
        for connection in list(self._connections):
            connection.cut()

    def retained(self, topic_filter: str) -> list[Message]:
        return [message for topic, message in self._retained.items() if matches(topic, topic_filter)]

    # For its connections.

    def _hand(self, session: _Session, message: Message) -> None:
        if message.qos and len(session.waiting) >= _WAITING:
            self.dropped += 1
        elif message.qos or session.connection is not None:
            session.waiting.append(message)
            session.send()

    def _enter(self, connection: _Connection, client_id: str, clean: bool) -> tuple[_Session, bool]:
        """The session of a client that connects, and whether it was kept (3.1.2.4)."""
        found = self._sessions.get(client_id)
        if found is not None and found.connection is not None:
            found.connection.cut()  # 3.1.4-2: the one before is gone
            found = self._sessions.get(client_id)
        kept = found is not None and not clean
        session = found if found is not None and kept else _Session()
        self._sessions[client_id] = session
        session.connection = connection
        session.clean = clean
        return session, kept

    def _leave(self, connection: _Connection) -> None:
        self._connections.pop(connection, None)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if session.clean:
                self._sessions.pop(connection.client_id, None)


def matches(topic: str, topic_filter: str) -> bool:
    """Whether a topic fits a filter (4.7)."""
    if topic_filter == topic:
        return True
    levels = topic.split("/")
    wanted = topic_filter.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(levels) or level not in ("+", levels[at]):
            return False
    return len(levels) == len(wanted)


@dataclass
class _Session:
    connection: _Connection | None = None
    clean: bool = True
    subscriptions: dict[str, int] = field(default_factory=dict)
    waiting: deque[Message] = field(default_factory=deque)
    unacknowledged: OrderedDict[int, Message] = field(default_factory=OrderedDict)
    packet: int = 0

    def send(self, again: bool = False) -> None:
        """What may go to its client now; again: with what was sent before and not acknowledged (4.4)."""
        if self.connection is None:
            return
        if again:
            for packet, message in self.unacknowledged.items():
                self.connection.deliver(message, packet, again=True)
        while self.waiting and len(self.unacknowledged) < _IN_FLIGHT:
            message = self.waiting.popleft()
            packet = 0
            if message.qos:
                packet = self.packet = self.packet % 0xFFFF + 1
                self.unacknowledged[packet] = message
            self.connection.deliver(message, packet)


class _Connection(asyncio.Protocol):
    def __init__(self, broker: SiteBroker) -> None:
        self.client_id = ""
        self.session: _Session | None = None
        self._broker = broker
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._will: Message | None = None
        self._keep_alive_s = 10.0  # until it has said who it is
        self._timer: asyncio.TimerHandle | None = None
        self._handle: dict[int, Callable[[int, bytes], None]] = {
            _CONNECT: self._connect,
            _PUBLISH: self._publish,
            _PUBACK: self._acknowledged,
            _SUBSCRIBE: self._subscribe,
            _UNSUBSCRIBE: self._unsubscribe,
            _PINGREQ: lambda flags, body: self._send(_PINGRESP << 4, b""),
            _DISCONNECT: self._disconnect,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._broker._connections[self] = None
        self._heard()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is None:
            return
        self._transport = None
        will, self._will = self._will, None
        self._broker._leave(self)
        if will is not None:
            self._broker.publish(will)

    def cut(self) -> None:
        """The broker's own end to it."""
        if self._transport is not None:
            self._transport.close()
        self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._heard()
        while self._transport is not None and (packet := self._packet()) is not None:
            head, body = packet
            try:
                if (self.session is None) != (head >> 4 == _CONNECT):
                    raise ValueError("a first packet that is no CONNECT, or a second that is one")  # 3.1.0
                self._handle[head >> 4](head & 0x0F, body)
            except (LookupError, ValueError, UnicodeDecodeError):  # 4.8: a protocol error ends the connection
                self.cut()

    def _packet(self) -> tuple[int, bytes] | None:
        """The next whole packet: its first byte and what follows the length (2.2)."""
        length = 0
        for at in range(1, 5):
            if at >= len(self._data):
                return None
            length |= (self._data[at] & 0x7F) << 7 * (at - 1)
            if self._data[at] < 0x80:
                break
        if length > _LONGEST:
            self.cut()
            return None
        end = at + 1 + length
        if len(self._data) < end:
            return None
        head, body = self._data[0], bytes(self._data[at + 1 : end])
        del self._data[:end]
        return head, body

    def _heard(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._keep_alive_s:
            self._timer = asyncio.get_running_loop().call_later(1.5 * self._keep_alive_s, self.cut)  # 3.1.2.10

    def _send(self, head: int, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_packed(head, body))

    def deliver(self, message: Message, packet: int, again: bool = False) -> None:
        number = packet.to_bytes(2, "big") if message.qos else b""
        head = _PUBLISH << 4 | again << 3 | message.qos << 1 | message.retain
        self._send(head, _text(message.topic) + number + message.payload)

    def _connect(self, flags: int, body: bytes) -> None:
        protocol, at = _taken(body, 0)
        if protocol != b"MQTT" or body[at] != 4:
            self._send(_CONNACK << 4, b"\x00\x01")
            self.cut()
            return
        asked = body[at + 1]
        self._keep_alive_s = int.from_bytes(body[at + 2 : at + 4], "big")
        name, at = _taken(body, at + 4)
        self.client_id = name.decode()
        if asked & 0x04:
            topic, at = _taken(body, at)
            payload, at = _taken(body, at)
            self._will = Message(topic.decode(), payload, asked >> 3 & 3, bool(asked & 0x20))
        self.session, kept = self._broker._enter(self, self.client_id, bool(asked & 0x02))
        self._heard()
        self._send(_CONNACK << 4, bytes((kept, 0)))
        self.session.send(again=True)

    def _publish(self, flags: int, body: bytes) -> None:
        topic, at = _taken(body, 0)
        qos = flags >> 1 & 3
        if qos > 1:
            raise ValueError("QoS 2")
        if qos:
            packet, at = body[at : at + 2], at + 2
        self._broker.publish(Message(topic.decode(), body[at:], qos, bool(flags & 1)))
        if qos:
            self._send(_PUBACK << 4, packet)

    def _acknowledged(self, flags: int, body: bytes) -> None:
        assert self.session is not None
        self.session.unacknowledged.pop(int.from_bytes(body[:2], "big"), None)
        self.session.send()

    def _subscribe(self, flags: int, body: bytes) -> None:
        assert self.session is not None
        at, granted = 2, b""
        asked: list[str] = []
        while at < len(body):
            name, at = _taken(body, at)
            qos = min(body[at], 1)
            at += 1
            asked.append(name.decode())
            self.session.subscriptions[asked[-1]] = qos
            granted += bytes((qos,))
        self._send(_SUBACK << 4, body[:2] + granted)
        for topic_filter in asked:
            for message in self._broker.retained(topic_filter):
                qos = min(message.qos, self.session.subscriptions[topic_filter])
                self._broker._hand(self.session, Message(message.topic, message.payload, qos, retain=True))

    def _unsubscribe(self, flags: int, body: bytes) -> None:
        assert self.session is not None
        at = 2
        while at < len(body):
            topic_filter, at = _taken(body, at)
            self.session.subscriptions.pop(topic_filter.decode(), None)
        self._send(_UNSUBACK << 4, body[:2])

    def _disconnect(self, flags: int, body: bytes) -> None:
        self._will = None  # 3.14.4
        self.cut()


def _taken(body: bytes, at: int) -> tuple[bytes, int]:
    """A field with its length before it, and where the next begins (1.5.3)."""
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if end > len(body):
        raise ValueError("a field that ends behind its packet")
    return body[at + 2 : end], end


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packed(head: int, body: bytes) -> bytes:
    length, left = b"", len(body)
    while True:
        left, low = left >> 7, left & 0x7F
        length += bytes((low | (0x80 if left else 0),))
        if not left:
            return bytes((head,)) + length + body
