"""A connection to a broker of our own making: MQTT 3.1.1 under a client id, for who must see each packet.

What it carries is its owner's business: `quaver.broker.reader` subscribes, `quaver.broker.exactly_once` publishes.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.broker.address import BrokerUrl
from quaver.broker.client import CONNECT_S, KEEPALIVE_S, no_answer, tls_context, unreachable
from quaver.errors import BrokerError

_READ = 1 << 18  # bytes a read: a thousand sealed records
_CONNECT, _CONNACK, _PINGREQ, _DISCONNECT = 1, 2, 12, 14


class LinkLost(Exception):
    """The connection went; what was not acknowledged comes again with the next one. Says why."""


class Link:
    """client_id: names the session that the broker keeps.

    `open` raises BrokerError for what another try can't correct (refused, certificate not trusted) and LinkLost for
    the rest; whatever else reads or sends raises LinkLost.
    """

    LEVEL = 4  # of the protocol: MQTT 3.1.1
    PROPERTIES = b""  # of its CONNECT, with their length, where the protocol has some
    REFUSALS: Mapping[int, str] = {  # section 3.2.2.3
        1: "refuses MQTT 3.1.1",
        2: "refuses the client id",
        3: "is not available",
        4: "refused the connection: bad user or password; check them in its URL",
        5: "refused the connection: not authorised; check the user and password in its URL",
    }

    def __init__(self, url: BrokerUrl, client_id: str, ca: Path | None = None) -> None:
        self.url = url
        self.client_id = client_id
        self.greeted = False  # the broker took the last connection, however it ended
        self._tls = tls_context(ca) if url.tls else None
        self._socket: socket.socket | None = None
        self._heard = self._asked = 0.0

    def open(self, forget: str = "") -> bool:
        """Connect; whether the broker had kept the session.

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
            self._heard = self._asked = time.monotonic()
            if forget:
                self._greet(forget, clean=True)
                self._socket.sendall(packet(_DISCONNECT << 4, b""))
                return self.open()
            kept = self._greet(self.client_id)
            self.greeted = True
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
                connection.sendall(packet(_DISCONNECT << 4, b""))
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

    def stay(self) -> None:
        """Keep the connection while nothing is read; to be called every few seconds."""
        if time.monotonic() - self._asked > KEEPALIVE_S / 2:
            self._asked = time.monotonic()
            self.send(packet(_PINGREQ << 4, b""))

    def answer_at_once(self) -> None:
        """Have this system acknowledge what comes next without delay; to be called before each read.

        A broker that sends small packets one by one sends the second when the first is acknowledged (RFC 9293, 3.7.4),
        which a receiver delays by 40 ms.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):  # of Linux
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def send(self, data: bytes) -> None:
        """Send packets, whole."""
        if self._socket is None:
            raise LinkLost("not connected")
        try:
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost(error.strerror or str(error)) from error

    def read(self, timeout: float) -> bytes | None:
        """What has come; None when nothing does within `timeout` seconds, and 0 does not wait."""
        if self._socket is None:
            raise LinkLost("not connected")
        try:
            self._socket.settimeout(timeout)
            data = self._socket.recv(_READ)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            self._keep_alive()
            return None
        except OSError as error:
            raise LinkLost(error.strerror or str(error)) from error
        if not data:
            raise LinkLost("the broker closed the connection")
        self._heard = time.monotonic()
        return data

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self._heard > 1.5 * KEEPALIVE_S:
            raise LinkLost(f"the broker was silent for {now - self._heard:.0f} s")
        if now - max(self._heard, self._asked) > KEEPALIVE_S / 2:
            self._asked = now
            self.send(packet(_PINGREQ << 4, b""))

    def _greet(self, client_id: str, clean: bool = False) -> bool:
        """Open the session `client_id`; whether the broker had kept it."""
        assert self._socket is not None
        self._socket.sendall(self._hello(client_id, clean))
        code, kept = self._answer()
        if code:
            reason = self.REFUSALS.get(code, f"refused the connection with code {code}")
            raise BrokerError(f"broker {self.url}: {reason}")
        return kept

    def _hello(self, client_id: str, clean: bool) -> bytes:
        flags = 0x80 * bool(self.url.user) | 0x40 * bool(self.url.user and self.url.password) | 0x02 * clean
        body = mqtt_text("MQTT") + bytes([self.LEVEL, flags]) + KEEPALIVE_S.to_bytes(2, "big")
        body += self.PROPERTIES + mqtt_text(client_id)
        if self.url.user:
            body += mqtt_text(self.url.user)
            if self.url.password:
                body += mqtt_text(self.url.password)
        return packet(_CONNECT << 4, body)

    def _answer(self) -> tuple[int, bool]:
        """The broker's CONNACK: (code, whether it kept the session)."""
        answer = self.exactly(4)
        if answer[:2] != bytes([_CONNACK << 4, 2]):
            raise BrokerError(f"broker {self.url}: {no_answer(self.url)}")
        return answer[3], bool(answer[2] & 1)

    def exactly(self, count: int) -> bytes:
        """The next bytes of an answer to the greeting. Raises BrokerError where nobody gives one."""
        assert self._socket is not None
        answer = b""
        while len(answer) < count:
            part = self._socket.recv(count - len(answer))
            if not part:
                raise BrokerError(f"broker {self.url}: {no_answer(self.url)}")
            answer += part
        return answer


def long_length(data: bytes, at: int) -> tuple[int, int]:
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


def mqtt_text(text: str) -> bytes:
    """A text as MQTT has it: its length in two bytes, UTF-8 (section 1.5.3)."""
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    """A control packet: its first byte, the remaining length, the body (section 2)."""
    length, head = len(body), bytearray([first])
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body
