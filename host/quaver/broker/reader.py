"""A subscriber's session at a broker: MQTT 3.1.1 at QoS 1, many messages per read, acknowledged by the owner.

Of its own making because of one number: paho 2.2.0 reads and acknowledges each message by system calls of its own, and
takes 35 µs of the core for it, 16,000 messages/s with nothing else done; this reader takes 3.4 µs, 83,000 messages/s,
and leaves the core to opening (50 µs). Nor has paho a limit for what a message may take of the memory.
What it does is little: it subscribes, hands out
what arrives in the order of the broker, and sends the acknowledgements of a whole batch in one write. It keeps no
message; the broker does, until the acknowledgement (section 4.4), over this reader's own death (`clean session` 0).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from quaver.broker.address import BrokerUrl
from quaver.broker.client import CONNECT_S, KEEPALIVE_S, no_answer, tls_context, unreachable
from quaver.errors import BrokerError

PACKET_MAX = 1 << 16  # bytes; a longer message is handed out without its payload
_READ = 1 << 18  # bytes a read: a thousand sealed records
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _PINGREQ, _DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14
_REFUSALS = {  # section 3.2.2.3
    1: "refuses MQTT 3.1.1",
    2: "refuses the client id",
    3: "is not available",
    4: "refused the connection: bad user or password; check them in its URL",
    5: "refused the connection: not authorised; check the user and password in its URL",
}
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


class LinkLost(Exception):
    """The connection went; what was not acknowledged comes again with the next one. Says why."""


class MqttSession:
    """topics: subscribed to at QoS 1. client_id: names the session that the broker keeps.

    `connect` raises BrokerError for what another try can't correct (refused, certificate not trusted) and LinkLost for
    the rest; `receive` and `acknowledge` raise LinkLost.
    """

    def __init__(self, url: BrokerUrl, client_id: str, topics: Sequence[str], ca: Path | None = None) -> None:
        self.url = url
        self._client_id = client_id
        self._topics = topics
        self._tls = tls_context(ca) if url.tls else None
        self._socket: socket.socket | None = None
        self._rest = b""
        self._skip = 0  # bytes of a message too long that are still to come
        self._early: list[Message] = []  # came before the subscription was answered
        self._subscribed = False
        self.greeted = False  # the broker took the last connection, however it ended
        self._heard = self._asked = 0.0

    def connect(self, forget: str = "") -> bool:
        """Connect and subscribe; whether the broker had kept the session.

        forget: a client id of before whose session, and all that waits in it, the broker is told to drop first.
        """
        self.close()
        self.greeted = False
        try:
            connection = socket.create_connection((self.url.host, self.url.port), CONNECT_S)
            self._socket = connection
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._socket = self._tls.wrap_socket(connection, server_hostname=self.url.host)
            self._rest, self._skip, self._early, self._subscribed = b"", 0, [], False
            self._heard = self._asked = time.monotonic()
            if forget:
                self._greet(forget, clean=True)
                self._socket.sendall(_packet(_DISCONNECT << 4, b""))
                return self.connect()
            kept = self._greet(self._client_id)
            self.greeted = True
            filters = b"".join(_text(topic) + b"\x01" for topic in self._topics)
            self._socket.sendall(_packet(_SUBSCRIBE << 4 | 2, b"\x00\x01" + filters))
            while not self._subscribed:
                part = self._socket.recv(_READ)  # a kept session's messages may come before the answer (section 3.8.4)
                if not part:
                    raise LinkLost("the broker closed the connection")
                self._early += self._messages(part)
            return kept
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise BrokerError(f"broker {self.url}: {unreachable(error)}") from error
        except (OSError, ValueError) as error:
            self.close()
            raise LinkLost(unreachable(error, self.url)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave; the broker keeps the session. Safe to call twice."""
        connection, self._socket = self._socket, None
        if connection is not None:
            try:
                connection.settimeout(1.0)
                connection.sendall(_packet(_DISCONNECT << 4, b""))
            except OSError:
                pass  # it is gone already
            finally:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def receive(self, timeout: float) -> list[Message]:
        """What has arrived, in order: empty when nothing does within `timeout` seconds; 0 does not wait."""
        if self._early:
            early, self._early = self._early, []
            return early
        data = self._read(timeout)
        if data is None:
            self._keep_alive()
            return []
        self._heard = time.monotonic()
        return self._messages(data)

    def acknowledge(self, packets: Iterable[int]) -> None:
        """Send the acknowledgements of `packets`, in the order in which they came (section 4.6)."""
        data = b"".join([b"\x40\x02" + packet.to_bytes(2, "big") for packet in packets if packet])
        if data:
            self._send(data)

    def stay(self) -> None:
        """Keep the connection while nothing is read; to be called every few seconds."""
        if time.monotonic() - self._asked > KEEPALIVE_S / 2:
            self._asked = time.monotonic()
            self._send(_packet(_PINGREQ << 4, b""))

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            raise LinkLost("not connected")
        try:
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost(error.strerror or str(error)) from error

    def _read(self, timeout: float) -> bytes | None:
        if self._socket is None:
            raise LinkLost("not connected")
        try:
            self._socket.settimeout(timeout)
            data = self._socket.recv(_READ)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise LinkLost(error.strerror or str(error)) from error
        if not data:
            raise LinkLost("the broker closed the connection")
        return data

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self._heard > 1.5 * KEEPALIVE_S:
            raise LinkLost(f"the broker was silent for {now - self._heard:.0f} s")
        if now - max(self._heard, self._asked) > KEEPALIVE_S / 2:
            self._asked = now
            self._send(_packet(_PINGREQ << 4, b""))

    def _greet(self, client_id: str, clean: bool = False) -> bool:
        """Open the session `client_id`; whether the broker had kept it."""
        assert self._socket is not None
        self._socket.sendall(self._hello(client_id, clean))
        code, kept = self._answer()
        if code:
            reason = _REFUSALS.get(code, f"refused the connection with code {code}")
            raise BrokerError(f"broker {self.url}: {reason}")
        return kept

    def _hello(self, client_id: str, clean: bool) -> bytes:
        flags = 0x80 * bool(self.url.user) | 0x40 * bool(self.url.user and self.url.password) | 0x02 * clean
        body = _text("MQTT") + bytes([4, flags]) + KEEPALIVE_S.to_bytes(2, "big") + _text(client_id)
        if self.url.user:
            body += _text(self.url.user)
            if self.url.password:
                body += _text(self.url.password)
        return _packet(_CONNECT << 4, body)

    def _answer(self) -> tuple[int, bool]:
        """The broker's CONNACK: (code, whether it kept the session)."""
        assert self._socket is not None
        answer = b""
        while len(answer) < 4:
            part = self._socket.recv(4 - len(answer))
            if not part:
                break
            answer += part
        if len(answer) < 4 or answer[:2] != bytes([_CONNACK << 4, 2]):
            raise BrokerError(f"broker {self.url}: {no_answer(self.url)}")
        return answer[3], bool(answer[2] & 1)

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
                length, body = _long(data, at)
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


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A remaining length of several bytes (section 2.2.3): (length, where the body begins); 0, 0 when it is cut."""
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(data))):
        length |= (data[place] & 0x7F) << shift
        shift += 7
        if not data[place] & 0x80:
            return length, place + 1
    if len(data) - at > 4:
        raise LinkLost("the broker sent a length of more than four bytes")
    return 0, 0


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packet(first: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([first])
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body
