"""A publisher at QoS 2 whose messages are delivered once, whenever it is killed: MQTT 3.1.1, section 4.3.3.

Of its own making, because that promise rests on packet identifiers that outlive the sender: paho 2.2.0 numbers anew at
each start, and then the broker can't know a message again. Here a message's identifier comes from its number in the
whole stream, which its owner keeps on disk:

    PUBLISH all -> PUBREC of all -> the owner notes how far it is -> PUBREL all -> PUBCOMP of all

Killed before the note, the same messages go out again under the same identifiers, and the broker, which has not
released them, knows them. Killed after it, they are released at the next connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from quaver.broker.address import BrokerUrl
from quaver.broker.link import Link, LinkLost, long_length, mqtt_text, packet
from quaver.errors import BrokerError

WINDOW = 20  # messages under way: what brokers take of one client by default (mosquitto.conf, max_inflight_messages)
_PUBLISH, _PUBREC, _PUBREL, _PUBCOMP = 3, 5, 6, 7
_QOS2, _DUP, _RETAIN = 0x04, 0x08, 0x01
_ANSWER_S = 30.0


class Outgoing(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    retain: bool


class ExactlyOnce(Link):
    """client_id: of this stream of messages alone, for as long as it lasts. Everything raises LinkLost, BrokerError."""

    def __init__(self, url: BrokerUrl, client_id: str, ca: Path | None = None) -> None:
        super().__init__(url, client_id, ca)
        self._rest = b""

    def connect(self, done: int) -> None:
        """Connect, and release what was published before. done: messages of the stream that are noted as published."""
        kept = self.open()
        self._rest = b""
        if kept and done:
            self._release(range(max(0, done - WINDOW), done))

    def put(self, messages: Sequence[Outgoing], done: int, note: Callable[[int], None]) -> None:
        """Publish messages, at most WINDOW, the first of which has the number `done` in the stream.

        note: called once the broker has all of them, with the number of the next one; what it keeps has to be on the
        disk when it returns.
        """
        if len(messages) > WINDOW:
            raise ValueError(f"{len(messages)} messages: at most {WINDOW} at once")
        numbers = range(done, done + len(messages))
        self.send(b"".join(_publish(message, _identifier(n)) for n, message in zip(numbers, messages, strict=True)))
        self._await(_PUBREC, {_identifier(number) for number in numbers})
        note(numbers.stop)
        self._release(numbers)

    def tell(self, messages: Iterable[Outgoing]) -> None:
        """Publish messages that may come twice, at QoS 0: what is always the same, and kept."""
        self.send(
            b"".join(packet(_PUBLISH << 4 | _RETAIN * m.retain, mqtt_text(m.topic) + m.payload) for m in messages)
        )

    def _release(self, numbers: range) -> None:
        identifiers = [_identifier(number) for number in numbers]
        self.send(b"".join(packet(_PUBREL << 4 | 2, number.to_bytes(2, "big")) for number in identifiers))
        self._await(_PUBCOMP, set(identifiers))

    def _await(self, kind: int, wanted: set[int]) -> None:
        """Read until an answer of this kind has come for each identifier."""
        until = time.monotonic() + _ANSWER_S
        while wanted:
            self.answer_at_once()
            left = until - time.monotonic()
            data = self.read(max(left, 0.001))
            if data is None and left <= 0:
                raise LinkLost(f"the broker accepted no message within {_ANSWER_S:.0f} s")
            wanted -= {identifier for its, identifier in self._answers(data or b"") if its == kind}

    def _answers(self, data: bytes) -> list[tuple[int, int]]:
        """(kind, identifier) of the packets that are whole."""
        data = self._rest + data
        found, at = [], 0
        while len(data) - at >= 2:
            length, body = data[at + 1], at + 2
            if length & 0x80:
                length, body = long_length(data, at)
                if not body:
                    break
            if length > 2:
                raise BrokerError(f"broker {self.url}: sent a packet that no publisher expects; check what it is")
            if body + length > len(data):
                break
            found.append((data[at] >> 4, int.from_bytes(data[body : body + 2], "big")))
            at = body + length
        self._rest = data[at:]
        return found


def _identifier(number: int) -> int:
    """The packet identifier, 1 to 65,535, of a message by its number in the stream."""
    return number % 0xFFFF + 1


def _publish(message: Outgoing, identifier: int) -> bytes:
    # Each is marked as one that may have been sent before: nobody knows whether it was (section 3.3.1.1).
    first = _PUBLISH << 4 | _QOS2 | _DUP | _RETAIN * message.retain
    return packet(first, mqtt_text(message.topic) + identifier.to_bytes(2, "big") + message.payload)
