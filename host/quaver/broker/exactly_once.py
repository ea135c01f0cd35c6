"""A publisher at QoS 2 whose messages are delivered once, whenever it is killed: MQTT 5.0, section 4.3.3.

Of its own making, because that promise rests on packet identifiers that outlive the sender: paho 2.2.0 numbers anew at
each start, and then the broker can't know a message again. Here a message's identifier comes from its number in the
whole stream, which its owner keeps on disk:

    PUBLISH all -> PUBREC of all -> the owner notes how far it is -> PUBREL all -> PUBCOMP of all

Killed before the note, the same messages go out again under the same identifiers, and the broker, which has not
released them, knows them. Killed after it, they are released at the next connection. MQTT 3.1.1 would do for that, but
its brokers say nothing of a message that this user may not publish: here the refusal has a code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from quaver.broker.address import BrokerUrl
from quaver.broker.client import no_answer
from quaver.broker.link import Link, LinkLost, long_length, mqtt_text, packet
from quaver.errors import BrokerError

WINDOW = 500  # messages under way; a broker that takes fewer says so (section 3.2.2.3.3), and then it is fewer
_PUBLISH, _PUBREC, _PUBREL, _PUBCOMP = 3, 5, 6, 7
_PUBREL_HEAD = packet(_PUBREL << 4 | 2, b"\0\0")[:2]  # all of it but the identifier
_QOS2, _DUP, _RETAIN = 0x04, 0x08, 0x01
_CONNACK, _DISCONNECT = 2, 14
_FAILED, _NOT_AUTHORISED = 0x80, 0x87
_ANSWER_S = 30.0
_MANY, _GATHER_S = 50, 0.001  # a broker answers one by one, and a read for each costs more than what it says
_ANSWER_MAX = 1024  # bytes, with a reason in words
_RECEIVE_MAXIMUM, _USER_PROPERTY = 0x21, 0x26
_SIZES = {0x11: 4, 0x13: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}  # section 2.2.2.2


class Outgoing(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    retain: bool


class ExactlyOnce(Link):
    """client_id: of this stream of messages alone, for as long as it lasts. Everything raises LinkLost, BrokerError.

    window: how many messages it takes at once, known when it is connected.
    """

    LEVEL = 5
    PROPERTIES = b"\x05\x11\xff\xff\xff\xff"  # session expiry interval: never (section 3.1.2.11.2)
    REFUSALS: Mapping[int, str] = {  # section 3.2.2.2
        0x01: "knows no MQTT 5; name one that does",  # in MQTT 3.1.1's own answer
        0x84: "knows no MQTT 5; name one that does",
        0x85: "refuses the client id",
        0x86: "refused the connection: bad user or password; check the login",
        0x87: "refused the connection: bad user or password, or not authorised; check the login",
        0x88: "is not available",
        0x8A: "has banned this client",
    }

    def __init__(self, url: BrokerUrl, client_id: str, ca: Path | None = None) -> None:
        super().__init__(url, client_id, ca)
        self._rest = b""
        self.window = WINDOW

    def connect(self, done: int) -> None:
        """Connect, and release what was published before. done: messages of the stream that are noted as published."""
        kept = self.open()
        self._rest = b""
        if kept and done:
            self._release(range(max(0, done - WINDOW), done))

    def put(self, messages: Sequence[Outgoing], done: int, note: Callable[[int], None]) -> None:
        """Publish messages, at most `window`, the first of which has the number `done` in the stream.

        note: called once the broker has all of them, with the number of the next one; what it keeps has to be on the
        disk when it returns.
        """
        if len(messages) > self.window:
            raise ValueError(f"{len(messages)} messages: at most {self.window} at once")
        numbers = range(done, done + len(messages))
        self.send(b"".join(_publish(message, _identifier(n)) for n, message in zip(numbers, messages, strict=True)))
        self._await(_PUBREC, {_identifier(n): message.topic for n, message in zip(numbers, messages, strict=True)})
        note(numbers.stop)
        self._release(numbers)

    def tell(self, messages: Iterable[Outgoing]) -> None:
        """Publish messages that may come twice, at QoS 0: what is always the same, and kept."""
        self.send(
            b"".join(
                packet(_PUBLISH << 4 | _RETAIN * m.retain, mqtt_text(m.topic) + b"\0" + m.payload) for m in messages
            )
        )

    def _release(self, numbers: range) -> None:
        identifiers = [_identifier(number) for number in numbers]
        self.send(b"".join([_PUBREL_HEAD + number.to_bytes(2, "big") for number in identifiers]))
        self._await(_PUBCOMP, dict.fromkeys(identifiers, ""))

    def _await(self, kind: int, wanted: dict[int, str]) -> None:
        """Read until an answer of this kind has come for each identifier, which is of a message on that topic."""
        until = time.monotonic() + _ANSWER_S
        while wanted:
            self.answer_at_once()
            if len(wanted) > _MANY:
                time.sleep(_GATHER_S)
            left = until - time.monotonic()
            data = self.read(max(left, 0.001))
            if data is None and left <= 0:
                raise LinkLost(f"the broker accepted no message within {_ANSWER_S:.0f} s")
            for its, identifier, code in self._answers(data or b""):
                topic = wanted.pop(identifier, None) if its == kind else None
                if topic and code >= _FAILED:
                    why = "allow this user to write" if code == _NOT_AUTHORISED else f"reason {code:#x}"
                    raise BrokerError(f"broker {self.url}: refused a message on {topic}; {why}")

    def _answers(self, data: bytes) -> list[tuple[int, int, int]]:
        """(kind, identifier, reason code) of the packets that are whole."""
        data = self._rest + data
        found, at = [], 0
        while len(data) - at >= 2:
            length, body = data[at + 1], at + 2
            if length & 0x80:
                length, body = long_length(data, at)
                if not body:
                    break
            if length > _ANSWER_MAX:
                raise BrokerError(f"broker {self.url}: sent a packet that no publisher expects; check what it is")
            if body + length > len(data):
                break
            kind = data[at] >> 4
            if kind == _DISCONNECT:
                raise LinkLost(f"the broker ended the connection (reason {data[body] if length else 0:#x})")
            found.append((kind, int.from_bytes(data[body : body + 2], "big"), data[body + 2] if length > 2 else 0))
            at = body + length
        self._rest = data[at:]
        return found

    def _answer(self) -> tuple[int, bool]:
        """The broker's CONNACK (section 3.2), which tells how many messages it takes at once."""
        first, length = self.exactly(2)
        if first != _CONNACK << 4 or length & 0x80:  # longer than 127 bytes: no broker's
            raise BrokerError(f"broker {self.url}: {no_answer(self.url)}")
        answer = self.exactly(length)
        self.window = min(WINDOW, _receive_maximum(answer[3:]))
        return answer[1], bool(answer[0] & 1)


def _receive_maximum(properties: bytes) -> int:
    """Of the properties of a CONNACK, behind their length; 65,535 where it is not there (section 3.2.2.3.3)."""
    at = 0
    while at < len(properties):
        name = properties[at]
        if name == _RECEIVE_MAXIMUM:
            return max(1, int.from_bytes(properties[at + 1 : at + 3], "big"))
        size = _SIZES.get(name)
        if size is None:  # texts: their length stands before them
            for _ in range(1 + (name == _USER_PROPERTY)):
                at += 2 + int.from_bytes(properties[at + 1 : at + 3], "big")
            at += 1
        else:
            at += 1 + size
    return 0xFFFF


def _identifier(number: int) -> int:
    """The packet identifier, 1 to 65,535, of a message by its number in the stream."""
    return number % 0xFFFF + 1


def _publish(message: Outgoing, identifier: int) -> bytes:
    # Each is marked as one that may have been sent before: nobody knows whether it was (section 3.3.1.1).
    first = _PUBLISH << 4 | _QOS2 | _DUP | _RETAIN * message.retain
    return packet(first, mqtt_text(message.topic) + identifier.to_bytes(2, "big") + b"\0" + message.payload)
