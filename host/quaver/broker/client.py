"""A client of a broker: how it connects, and the reason if it can't."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quaver.broker.address import BrokerUrl, NatsUrl
from quaver.errors import BrokerError

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

CONNECT_S = 10.0  # a broker that has not answered by then is not there
KEEPALIVE_S = 30
SILENCE_S = 30.0  # without a message a warning is printed: a broker keeps the status of each node that was ever there
_PROBE_S = 3.0
# A CONNECT without user and will (MQTT 3.1.1, section 3.1), to see who answers.
_HELLO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x1e\x00\x00"


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


class Silence:
    """Tells once, a while after a subscription, that nothing came: brokers say nothing of what an ACL holds back."""

    def __init__(self, url: BrokerUrl | NatsUrl, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._page = "docs/nats.md" if isinstance(url, NatsUrl) else "docs/mosquitto.md"
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
            f"ACL does not let this user read, or the nodes write; check it against {self._page}"
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
    return "speaks TLS at that port; write mqtts:// (and name its CA with --ca), or name its port for MQTT without TLS"


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
    return f"refused the connection: {str(code).lower()}; check the login"


def mqtt_client(url: BrokerUrl, ca: Path | None = None, session: str = "", forget: bool = False) -> Client:
    """An MQTT 3.1.1 client with the URL's user, password and TLS, not yet connected.

    ca: as in `tls_context`. session: the client id under which the broker keeps a session; whoever keeps one
    acknowledges each message by itself (`ack`). forget: have the broker drop that session. Raises BrokerError when the
    CA can't be used.
    """
    from paho.mqtt.client import Client, MQTTv311
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=session,
        clean_session=forget or not session,
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
