"""Forwards security events to a syslog receiver: RFC 5424 messages over TLS, RFC 5425.

An event counts as forwarded once the receiver's TCP has acknowledged its bytes; what was under way when a connection
broke is sent again, with the same sequenceId. Syslog has no acknowledgement of its own: what a receiver loses after
that, it has lost. How far it is stands on the disk, so nothing is lost while the receiver or this program is away, as
long as the events are kept.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path
from termios import TIOCOUTQ
from urllib.parse import urlsplit

from quaver import __version__
from quaver.alarms.security import Security, SecurityEvent
from quaver.errors import AlarmError, PageError
from quaver.messages.record import one_line

PORT = 6514  # RFC 5425, section 4.1
_FACILITY = 10  # security and authorization: RFC 5424, table 1
_SEQUENCE_MAX = 2**31 - 1  # of sequenceId: RFC 5424, section 7.3.1
_BATCH = 100
_LIMIT_S = 20.0  # for a connection, a write, and the acknowledgement of what was written
_LOOK_S = 0.5
_END_S = 1.0  # for the other side's end: many receivers send none
_RETRY_S = (1.0, 60.0)  # after the receiver was down: the first time, and the most
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Receiver:
    """ca: who signed its certificate, PEM; None trusts whom this system does.

    enterprise: the private enterprise number of who runs the plant. With one, a message has an SD-element quaver@NUMBER
    beside those that IANA has registered; without one it has none, because a name is nobody else's to give (RFC 5424,
    section 6.3.2).
    """

    host: str
    port: int
    ca: Path | None = None
    enterprise: int | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_receiver(text: str, ca: Path | None = None, enterprise: int | None = None) -> Receiver:
    """The receiver HOST, HOST:PORT or [ADDRESS]:PORT. Raises PageError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not re.fullmatch(r"[!-.0-?A-~]{1,253}", host) or "@" in text or port == 0:
        raise PageError(f"--syslog {one_line(text)!r}: expected HOST or HOST:PORT, such as log.example:{PORT}")
    if ca is not None and not ca.is_file():
        raise PageError(f"--syslog-ca {ca}: there is no such file")
    return Receiver(host, port or PORT, ca, enterprise)


def message(event: SecurityEvent, hostname: str, enterprise: int | None = None) -> bytes:
    """One SYSLOG-MSG, RFC 5424, section 6."""
    moment = datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{8 * _FACILITY + event.severity}>1 {moment} {_name(hostname, 255)} quaver - {_name(event.source, 32)}"
    elements = [
        _element("origin", software="quaver", swVersion=__version__[:32]),
        _element("meta", sequenceId=str((event.number - 1) % _SEQUENCE_MAX + 1)),
    ]
    if enterprise is not None:
        told = {"node": event.node, "name": event.name, "what": event.what, "who": event.who, "detail": event.detail}
        filled = {name: one_line(value) for name, value in told.items() if value}
        elements.append(_element(f"quaver@{enterprise}", **filled, count=str(event.count)))
    return f"{head} {''.join(elements)} ".encode() + _BOM + _text(event).encode()


def _text(event: SecurityEvent) -> str:
    about = f" of {one_line(event.name or event.node)}" if event.name or event.node else ""
    who = f" by {one_line(event.who)}" if event.who else ""
    times = f", {event.count} times" if event.count > 1 else ""
    detail = f": {one_line(event.detail)}" if event.detail else ""
    verb = "refused " if event.source == "ingest" else ""
    return f"{event.source}: {verb}{one_line(event.what)}{about}{who}{times}{detail}"


def _element(name: str, /, **values: str) -> str:
    """An SD-ELEMENT; in a PARAM-VALUE are " \\ and ] escaped: RFC 5424, section 6.3.3."""
    text = ""
    for key, value in values.items():
        escaped = "".join(f"\\{c}" if c in '"\\]' else c for c in value)
        text += f' {key}="{escaped}"'
    return f"[{name}{text}]"


def _name(text: str, most: int) -> str:
    """PRINTUSASCII, "-" where nothing is left: RFC 5424, section 6."""
    return "".join(c for c in text if "!" <= c <= "~")[:most] or "-"


class Forwarder:
    """Forwards the events of a stream in a thread of its own. trouble: why nothing goes out now, "" where all is well.

    name: under which the stream keeps how far this is.
    """

    def __init__(self, stream: Security, receiver: Receiver, hostname: str | None = None) -> None:
        self.name = str(receiver)
        self.trouble = "not connected yet"
        self._stream = stream
        self._receiver = receiver
        self._hostname = hostname or socket.getfqdn()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises PageError for a CA that is none."""
        try:
            self._context = ssl.create_default_context(cafile=self._receiver.ca)
        except (OSError, ssl.SSLError) as error:
            raise PageError(
                f"--syslog-ca {self._receiver.ca}: holds no certificate ({one_line(error)}); name a PEM file"
            ) from error
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9662, section 4
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what is under way is noted first, or is sent again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _LIMIT_S)

    def _run(self) -> None:
        pause_s = _RETRY_S[0]
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self.trouble, pause_s = "", _RETRY_S[0]
                    self._forward(connection)
            except (OSError, ValueError) as error:  # ssl.SSLError is one of them
                self.trouble = _why(error)
            except AlarmError as error:
                self.trouble = str(error)
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, _RETRY_S[1])

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection((self._receiver.host, self._receiver.port), timeout=_LIMIT_S)
        try:
            return self._context.wrap_socket(plain, server_hostname=self._receiver.host)
        except BaseException:
            plain.close()
            raise

    def _forward(self, connection: ssl.SSLSocket) -> None:
        while not self._stop.is_set():
            events = self._stream.security_after(self._stream.forwarded(self.name), _BATCH)
            if events:
                frames = [message(event, self._hostname, self._receiver.enterprise) for event in events]
                connection.sendall(b"".join(b"%d %s" % (len(frame), frame) for frame in frames))  # RFC 5425, 4.3
                _acknowledged(connection)
                self._stream.forward(self.name, events[-1].number)
            else:
                _listen(connection)
                self._stop.wait(_LOOK_S)
        connection.settimeout(_END_S)
        with contextlib.suppress(OSError):
            connection.unwrap()  # close_notify: RFC 5425, section 4.4


def _acknowledged(connection: ssl.SSLSocket) -> None:
    """Wait until the other side's TCP has all that was written. Raises OSError."""
    until = time.monotonic() + _LIMIT_S
    while struct.unpack("i", ioctl(connection, TIOCOUTQ, bytes(4)))[0]:
        _listen(connection)
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.01)


def _listen(connection: ssl.SSLSocket) -> None:
    """A receiver says nothing; what it does say is its end. Raises OSError."""
    while connection.pending() or select.select([connection], [], [], 0)[0]:
        connection.settimeout(0.01)  # a session ticket of TLS 1.3 is no data
        try:
            if not connection.recv(4096):
                raise ConnectionResetError("the receiver closed the connection")
        except (TimeoutError, ssl.SSLWantReadError):
            return
        finally:
            connection.settimeout(_LIMIT_S)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be verified ({one_line(error.verify_message)}); check the host and --syslog-ca"
    if isinstance(error, TimeoutError):
        return f"does not answer within {_LIMIT_S:g} s"
    if isinstance(error, ssl.SSLError):
        return "does not speak TLS as it should; check the port"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection; check host and port, and whether it runs"
    if isinstance(error, socket.gaierror):
        return f"there is no such host ({one_line(error.strerror)})"
    return one_line(error) or type(error).__name__
