"""The broker on the host's side: where one is (a URL), who connects to it, and the embedded one to start here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from quaver.errors import BrokerError

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

MQTT_PORT = 1883  # IANA's port of plain MQTT
MQTTS_PORT = 8883  # and of MQTT over TLS
CONNECT_S = 10.0  # a broker that has not answered by then is not there
KEEPALIVE_S = 30
NO_ANSWER = f"no MQTT answer within {CONNECT_S:.0f} s; check that the port is a broker's"
_START_S = 10.0  # an embedded broker that isn't up by then never will be
_STOP_S = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class BrokerUrl:
    """Where an MQTT 3.1.1 broker is, and who connects to it."""

    host: str
    port: int = MQTT_PORT
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    @property
    def loopback(self) -> bool:
        """Whether it runs on this machine, where an emulated board reaches it by its `host_address`."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    def __str__(self) -> str:
        """The URL without its password, fit for a message."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{self.user + '@' if self.user else ''}{host}:{self.port}"


def parse_broker_url(text: str) -> BrokerUrl:
    """Read `mqtt[s]://[user[:password]@]host[:port]`; the scheme may be left out, a password percent-encoded.

    Raises BrokerError for anything else.
    """
    expected = "expected mqtt://[user:password@]host[:port], or mqtts:// for TLS"
    # A message never repeats the text as given: it may hold a password.
    shown = text.rpartition("@")[2]
    try:
        url = urlsplit(text if "://" in text else f"mqtt://{text}")
        host, port = url.hostname, url.port
    except ValueError as error:
        raise BrokerError(f"broker URL {shown!r}: {error}; {expected}") from error
    if url.scheme not in ("mqtt", "tcp", "mqtts"):
        raise BrokerError(f"broker URL {shown!r}: {url.scheme}:// is not supported; {expected}")
    if not host or port == 0 or url.path.strip("/") or url.query or url.fragment:
        raise BrokerError(f"broker URL {shown!r}: not a broker's address; {expected}")
    tls = url.scheme == "mqtts"
    port = port or (MQTTS_PORT if tls else MQTT_PORT)
    return BrokerUrl(host, port, unquote(url.username or ""), unquote(url.password or ""), tls)


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


def unreachable(error: OSError | ValueError) -> str:
    """Why there is no connection to a broker, and what to do about this reason."""
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
        raise BrokerError(f"broker {url}: {unreachable(error)}") from error
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
