"""The broker on the host's side: where one is (a URL), who connects to it, and the embedded one to start here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os.path
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_to_bytes

from quaver.errors import BrokerError
from quaver_wire.fields import KINDS

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

MQTT_PORT = 1883  # IANA's port of plain MQTT
MQTTS_PORT = 8883  # and of MQTT over TLS
CONNECT_S = 10.0  # a broker that has not answered by then is not there
KEEPALIVE_S = 30
SILENCE_S = 30.0  # without a message a person wonders: a broker keeps the status of each node that was ever there
_PROBE_S = 3.0
# A CONNECT without user and will (MQTT 3.1.1, section 3.1), to see who answers.
_HELLO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x1e\x00\x00"
_START_S = 10.0  # an embedded broker that isn't up by then never will be
_STOP_S = 5.0
_TEXT_MAX = 65535  # bytes of a text in MQTT 3.1.1
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class BrokerUrl:
    """Where an MQTT 3.1.1 broker is, and who connects to it. Neither user nor password is in its str or repr."""

    host: str
    port: int = MQTT_PORT
    user: str = field(default="", repr=False)  # some brokers take a token as the user
    password: str = field(default="", repr=False)
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """Whether it runs on this machine, where an emulated board reaches it by its `host_address`."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    def __str__(self) -> str:
        """The URL without user and password, fit for a message."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"


def parse_broker_url(text: str) -> BrokerUrl:
    """Read `mqtt[s]://[user[:password]@]host[:port]`; the scheme may be left out, user and password are %-encoded.

    Raises BrokerError for anything else. No message repeats any of the text: it may hold a password, and in a URL that
    is wrong nobody knows where.
    """
    head, found, rest = text.strip().partition("://")
    if not found:
        head, rest = "mqtt", head
    login, _, place = rest.rpartition("@")
    if head.lower() not in _SCHEMES:
        raise _bad_url(f"its scheme is none of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    if _UNSAFE.search(login):
        raise _bad_url(
            "its user or password holds a character that must be %-encoded: / as %2F, # as %23, ? as %3F, @ as %40, "
            "% as %25, [ as %5B, ] as %5D, a space as %20"
        )
    user, _, password = login.partition(":")
    if password and not user:
        raise _bad_url("it has a password and no user")
    address = _ADDRESS.fullmatch(place.removesuffix("/"))
    if address is None:
        raise _bad_url("it is not a broker's address; / # ? @ and % in a user or password must be %-encoded")
    tls = _SCHEMES[head.lower()]
    port = int(address["port"] or (MQTTS_PORT if tls else MQTT_PORT))
    if not 1 <= port <= 65535:
        raise _bad_url("its port is not a number from 1 to 65535")
    host = address["six"] or address["host"]
    return BrokerUrl(host.lower(), port, _decoded(user), _decoded(password), tls)


_SCHEMES = {"mqtt": False, "tcp": False, "mqtts": True}  # and whether that is TLS
_UNSAFE = re.compile(r"[/#?@\[\]\s]|%(?![0-9A-Fa-f]{2})")  # RFC 3986, section 3.2.1: what a userinfo has not
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\W_][\w.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?")


def _bad_url(why: str) -> BrokerError:
    return BrokerError(f"broker URL: {why}; expected mqtt://[user:password@]host[:port], or mqtts:// for TLS")


def without_logins(text: str, words: Iterable[str] = ()) -> str:
    """A text for people without the users and passwords of URLs. words: of a command line, which it may repeat."""
    for word in words:
        value = word.partition("=")[2] if word.startswith("--") else word
        if not may_log_in(value):
            continue
        as_path = str(Path(value))
        forms = (value, as_path, repr(value)[1:-1], repr(as_path)[1:-1], " ".join(value.split()))
        for login in filter(None, map(_TO_LOGIN.match, forms)):
            at = -1
            while (at := text.find(login[0], at + 1)) >= 0:  # whole, or cut off
                told = max(len(os.path.commonprefix((text[at:], form))) for form in forms)  # noqa: RUF071  texts
                if told > len(login[0]) or login[0].endswith("@"):
                    text = f"{text[:at]}…{text[at + told :]}"
    return _LOGIN.sub(r"\1…@", text)


_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?!\[)\S*@")
# Of a URL, to where its password may begin.
_TO_LOGIN = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:/+)?[^:@]*[:@]", re.DOTALL)


def may_log_in(value: str) -> bool:
    """Whether a text that a person gave may be a URL with a password in it: no message may repeat it."""
    if value.startswith("socket://") or not re.search(r"://|:.*@", value, re.DOTALL):
        return False
    try:
        return "@" in value or not parse_broker_url(value)
    except BrokerError:
        return True


def _decoded(text: str) -> str:
    """A user or password without its %-encoding. Raises BrokerError for what MQTT can't send (section 1.5.3)."""
    data = unquote_to_bytes(text.encode("utf-8", "surrogateescape"))
    decoded = data.decode("utf-8", "replace")
    if decoded.encode() != data or "\0" in decoded or len(data) > _TEXT_MAX:
        raise _bad_url(f"its user or password is not UTF-8 text of at most {_TEXT_MAX} bytes, without NUL")
    return decoded


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """What a client of a broker needs for TLS: ca alone is trusted, PEM; None trusts whom this system does.

    Raises BrokerError.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise BrokerError(
            f"{ca}: holds no certificate; name the PEM file of the CA that signed the broker's"
        ) from error
    except OSError as error:
        raise BrokerError(f"{ca}: can't be read ({error.strerror}); name the PEM file of the broker's CA") from error


def node_topics(leaves: Iterable[str] = KINDS[:3], place: str = "+/+/+/+/+") -> tuple[str, ...]:
    """The topics that can be a node's, site/area/line/asset/node/LEAF: by default what nodes send by themselves."""
    return tuple(f"{place}/{leaf}" for leaf in leaves)


class Silence:
    """Tells once, a while after a subscription, that nothing came: brokers say nothing of what an ACL holds back."""

    def __init__(self, url: BrokerUrl, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._until: float | None = clock() + SILENCE_S

    def tell(self, heard: bool) -> str:
        """A line when it is time for it, else "". heard: whether any message has come."""
        if heard:
            self._until = None
        if self._until is None or self._clock() < self._until:
            return ""
        self._until = None
        return (
            f"broker {self._url}: nothing has come within {SILENCE_S:.0f} s: no node publishes there, or the broker's "
            "ACL does not let this user read, or the nodes write; check it against docs/mosquitto.md"
        )


def other_kind(url: BrokerUrl) -> str:
    """What to write where a port is of the other kind, TLS or plain, than its URL says; "" where it is not seen to be.

    Connects once more to look, for a few seconds at most; it tells neither user nor password.
    """
    try:
        with socket.create_connection((url.host, url.port), _PROBE_S) as line:
            if url.tls:
                line.sendall(_HELLO)
                answers = line.recv(4).startswith(b"\x20\x02")
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is told to who answers
                context.wrap_socket(line, server_hostname=url.host).close()
                answers = True
    except ssl.SSLError as error:
        answers = "ALERT" in (error.reason or "")  # only who speaks TLS sends one
    except (OSError, ValueError):
        answers = False
    if not answers:
        return ""
    if url.tls:
        return "speaks MQTT without TLS at that port; name its port for TLS, or write mqtt:// if the network is trusted"
    return "speaks TLS at that port; write mqtts:// (and name its CA with --ca), or name its port without TLS"


def no_answer(url: BrokerUrl) -> str:
    """Why who took the connection gave no MQTT answer."""
    return other_kind(url) or "no MQTT answer; check that the port is a broker's"


def unreachable(error: OSError | ValueError, url: BrokerUrl | None = None) -> str:
    """Why there is no connection to a broker, and what to do about this reason. url: its, to look closer."""
    unseen = (ssl.SSLCertVerificationError, ConnectionRefusedError)  # it is known who is there, or that nobody is
    if url is not None and isinstance(error, (ssl.SSLError, ConnectionError, TimeoutError)):
        kind = "" if isinstance(error, unseen) else other_kind(url)
        if kind:
            return kind
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; name the CA that signed it with --ca"
    if isinstance(error, ssl.SSLError):
        return f"no TLS there: {error.reason or reason}; check that the port is the broker's for TLS"
    if isinstance(error, ConnectionRefusedError):
        return f"{reason}; start it, or name one that runs with --broker"
    if isinstance(error, socket.gaierror):
        return f"{reason}; check the host's name in its URL"
    if isinstance(error, TimeoutError):
        reason = f"no answer within {CONNECT_S:.0f} s"
    return f"{reason}; check its address, and the network and firewalls on the way"


def refused(code: ReasonCode) -> str:
    """What a broker that takes no connection of ours said, and what to do."""
    return f"refused the connection: {str(code).lower()}; check the user and password in its URL"


def mqtt_client(url: BrokerUrl, ca: Path | None = None, session: str = "") -> Client:
    """An MQTT 3.1.1 client with the URL's user, password and TLS, not yet connected.

    ca: as in `tls_context`. session: the client id under which the broker keeps a session; whoever keeps one
    acknowledges each message by itself (`ack`). Raises BrokerError when the CA can't be used.
    """
    from paho.mqtt.client import Client, MQTTv311
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=session,
        clean_session=not session,
        protocol=MQTTv311,
        manual_ack=bool(session),
    )
    client.connect_timeout = CONNECT_S
    if url.user:
        client.username_pw_set(url.user, url.password or None)
    if url.tls:
        client.tls_set_context(tls_context(ca))
    return client


def connect(client: Client, url: BrokerUrl) -> None:
    """Connect, and serve the connection in a thread of the client's. Raises BrokerError when nobody is there."""
    try:
        client.connect(url.host, url.port, keepalive=KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise BrokerError(f"broker {url}: {unreachable(error, url)}") from error
    client.loop_start()


class EmbeddedBroker:
    """An amqtt broker on the host's loopback, in a thread of its own; a context manager.

    port: 0 takes a free one, which `port` and `url` then tell. Not 1883 by itself: whatever else on this
    machine looks for a broker there would join in. Anyone on this machine may connect. `with` (or `start`)
    raises BrokerError when it can't listen.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> BrokerUrl:
        return BrokerUrl("127.0.0.1", self.port)

    def start(self) -> Self:
        _quiet_logs()
        self._ready.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="quaver-broker", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S):
            self._failure = TimeoutError(f"not up after {_START_S:.0f} s")
        if self._failure is not None:
            raise BrokerError(
                f"embedded broker: can't listen on 127.0.0.1:{self.port}: {self._failure}; "
                "free that port or name another broker with --broker"
            ) from self._failure
        return self

    def stop(self) -> None:
        """Close every connection and the port; safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # told by start(), or after it nobody's loss: clients see the closed port
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
        from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

        # amqtt binds only ports that it is told; a socket of ours takes a free one without a race.
        config = BrokerConfig(
            listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        )
        broker = _broker(config)
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task: asyncio.Task[None] | None = asyncio.current_task()
            if task is not None:
                connections.add(task)
            try:
                await broker.external_connected(
                    StreamReaderAdapter(reader), StreamWriterAdapter(writer), listener_name="default"
                )
            finally:
                if task is not None:
                    connections.discard(task)
                writer.close()

        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(connected, "127.0.0.1", self.port)
        await broker.start()
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(broker.shutdown(), _STOP_S / 2)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _broker(config: Any) -> Any:
    """An amqtt broker that hands retained messages to those who subscribed to them, and to nobody else."""
    from amqtt.broker import Broker

    class Corrected(Broker):  # type: ignore[misc, unused-ignore]
        # amqtt 0.12.1 sends every client that connects the retained messages of everybody's subscriptions; a node
        # that subscribes to nothing is not ready for any (MQTT 3.1.1, 3.3.1.3: on a subscription, to its client).
        async def _publish_retained_messages_for_subscription(
            self, subscription: tuple[str, int], session: Any
        ) -> None:
            subscribers = self.subscriptions.get(subscription[0], [])
            if any(subscriber.client_id == session.client_id for subscriber, _ in subscribers):
                await super()._publish_retained_messages_for_subscription(subscription, session)

    return Corrected(config)


def _quiet_logs() -> None:
    """Keep amqtt's running commentary off the terminal unless somebody configured logging for it."""
    logger = logging.getLogger("amqtt")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
