"""A subscriber's session at a broker: MQTT 3.1.1 at QoS 1, many messages per read, acknowledged by the owner.

Of its own making because of one number: paho 2.2.0 reads and acknowledges each message by system calls of its own, and
takes 35 µs of the core for it, 16,000 messages/s with nothing else done; this reader takes 3.4 µs, 83,000 messages/s,
and leaves the core to the rest of ingest (30 µs). Nor has paho a limit for what a message may take of the memory.
What it does is little: it subscribes, hands out
what arrives in the order of the broker, and sends the acknowledgements of a whole batch in one write. It keeps no
message; the broker does, until the acknowledgement (section 4.4), over this reader's own death (`clean session` 0).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from quaver.broker.address import BrokerUrl
from quaver.broker.client import CONNECT_S
from quaver.broker.link import Link, LinkLost, long_length, mqtt_text, packet
from quaver.errors import BrokerError

PACKET_MAX = 1 << 16  # bytes; a longer message is handed out without its payload
_PUBLISH, _SUBSCRIBE, _SUBACK, _UNSUBSCRIBE = 3, 8, 9, 10
_SUBSCRIPTION_FAILED = 0x80


class Message(NamedTuple):
    """One message: packet is what `acknowledge` takes, 0 for one that wants none (QoS 0).

    payload: None where the packet was longer than PACKET_MAX. again: the broker says that it is not new: it has sent
    it before, or kept it for whoever subscribes.
    """

    topic: bytes
    payload: bytes | None
    packet: int
    again: bool


class Feed(Protocol):
    """What ingest asks of a session: messages, in the order of its broker, which keeps each until it is acknowledged.

    `connect` raises BrokerError for what another try can't correct, and LinkLost for the rest; all others LinkLost.
    """

    url: Any
    greeted: bool  # the broker took the last connection, and another client may have taken it over
    remark: str  # a line for a person, of what `connect` found

    def connect(self, forget: str = "") -> bool: ...

    def receive(self, timeout: float) -> list[Message]: ...

    def acknowledge(self, packets: Iterable[int]) -> None: ...

    def stay(self) -> None: ...

    def stale(self) -> bool:
        """Whether the broker may have handed to another what was received here and is not acknowledged."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class MqttSession(Link):
    """topics: subscribed to at QoS 1. client_id: names the session that the broker keeps."""

    remark = ""

    def __init__(self, url: BrokerUrl, client_id: str, topics: Sequence[str], ca: Path | None = None) -> None:
        super().__init__(url, client_id, ca)
        self._topics = topics
        self._rest = b""
        self._skip = 0  # bytes of a message too long that are still to come
        self._early: list[Message] = []  # came before the subscription was answered
        self._subscribed = False

    def connect(self, forget: str = "") -> bool:
        """Connect, as `open` does, and subscribe; whether the broker had kept the session."""
        kept = self.open(forget)
        self._rest, self._skip, self._early, self._subscribed = b"", 0, [], False
        try:
            filters = b"".join(mqtt_text(topic) + b"\x01" for topic in self._topics)
            self.send(packet(_SUBSCRIBE << 4 | 2, b"\x00\x01" + filters))
            while not self._subscribed:
                part = self.read(CONNECT_S)  # a kept session's messages may come before the answer (section 3.8.4)
                if part is None:
                    raise LinkLost(f"no answer to the subscription within {CONNECT_S:.0f} s")
                self._early += self._messages(part)
        except BaseException:
            self.close()
            raise
        return kept

    def stale(self) -> bool:
        return False  # it waits for this session, however long

    def unsubscribe(self) -> None:
        """Have the broker add nothing more to the session; what waits in it still comes (section 3.10)."""
        self.send(packet(_UNSUBSCRIBE << 4 | 2, b"\x00\x02" + b"".join(mqtt_text(topic) for topic in self._topics)))

    def receive(self, timeout: float) -> list[Message]:
        """What has arrived, in order: empty when nothing does within `timeout` seconds; 0 does not wait."""
        if self._early:
            early, self._early = self._early, []
            return early
        data = self.read(timeout)
        return [] if data is None else self._messages(data)

    def acknowledge(self, packets: Iterable[int]) -> None:
        """Send the acknowledgements of `packets`, in the order in which they came (section 4.6)."""
        data = b"".join([b"\x40\x02" + number.to_bytes(2, "big") for number in packets if number])
        if data:
            self.send(data)

    def _messages(self, data: bytes) -> list[Message]:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        data = self._rest + data if self._rest else data
        found: list[Message] = []
        at, have = 0, len(data)
        while have - at >= 2:
            first, length, body = data[at], data[at + 1], at + 2
            if length & 0x80:
                length, body = long_length(data, at)
                if not body:
                    break
            end = body + length
            if end > have and length <= PACKET_MAX:
                break
            kind = first >> 4
            if kind == _PUBLISH:
                after = body + 2 + (data[body] << 8 | data[body + 1]) if have - body >= 2 else have + 1
                wants = first & 0x06
                start = after + 2 if wants else after
                if start > min(end, have):
                    if end <= have or wants not in (0, 2):
                        raise LinkLost("the broker sent a malformed message")
                    break
                packet = data[after] << 8 | data[after + 1] if wants else 0
                payload = data[start:end] if length <= PACKET_MAX else None
                found.append(Message(data[body + 2 : after], payload, packet, bool(first & 0x09)))
            elif length > PACKET_MAX:
                raise LinkLost("the broker sent a packet that is not a message and is too long")
            elif kind == _SUBACK:
                self._subscribed = True
                if _SUBSCRIPTION_FAILED in data[body + 2 : end]:
                    topics = ", ".join(self._topics)
                    raise BrokerError(
                        f"broker {self.url}: refused the subscription to {topics}; allow this user to read"
                    )
            if end > have:
                self._skip = end - have
                at = have
                break
            at = end
        self._rest = data[at:]
        return found
