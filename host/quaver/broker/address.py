"""A broker's URL with its login, the topics of a node, and the parts of a URL that a message may show."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from quaver.errors import BrokerError
from quaver_wire.fields import MESSAGE_CLASSES

MQTT_PORT = 1883  # IANA's port of plain MQTT
MQTTS_PORT = 8883  # and of MQTT over TLS
NATS_PORT = 4222  # and of NATS, with TLS or without
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


@dataclass(frozen=True)
class NatsUrl:
    """Where the servers of a NATS cluster are, and who connects to them. Its str and repr are as a BrokerUrl's.

    servers: (host, port) of each.
    """

    servers: tuple[tuple[str, int], ...]
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        hosts = ((f"[{host}]" if ":" in host else host, port) for host, port in self.servers)
        return f"{'tls' if self.tls else 'nats'}://{','.join(f'{host}:{port}' for host, port in hosts)}"


def parse_broker_url(text: str) -> BrokerUrl:
    """Read `mqtt[s]://[user[:password]@]host[:port]`; the scheme may be left out, user and password are %-encoded.

    Raises BrokerError for anything else. No message repeats any of the text: it may hold a password, and in a URL that
    is wrong nobody knows where.
    """
    head, found, rest = text.strip().partition("://")
    if not found:
        head, rest = "mqtt", head
    if head.lower() not in _SCHEMES:
        more = "; NATS is for quaver ingest alone" if is_nats(text) else ""
        raise _bad_url(f"its scheme is not one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}{more}")
    tls = _SCHEMES[head.lower()]
    user, password, where = _login(rest)
    host, port = _address(where.removesuffix("/"), MQTTS_PORT if tls else MQTT_PORT)
    return BrokerUrl(host, port, user, password, tls)


def is_nats(text: str) -> bool:
    """Whether a URL is of NATS, and not of a broker that speaks MQTT alone."""
    return text.strip().partition("://")[0].lower() in _NATS_SCHEMES and "://" in text


def parse_nats_url(text: str) -> NatsUrl:
    """Read `nats://[user[:password]@]host[:port][,host[:port]…]`, or `tls://` for TLS. Raises as parse_broker_url."""
    head, _, rest = text.strip().partition("://")
    try:
        user, password, where = _login(rest)
        servers = tuple(_address(one, NATS_PORT) for one in where.removesuffix("/").split(","))
    except BrokerError as error:
        raise BrokerError(str(error).replace(_MQTT_FORM, _NATS_FORM)) from error
    return NatsUrl(servers, user, password, _NATS_SCHEMES[head.lower()])


def _login(rest: str) -> tuple[str, str, str]:
    """(user, password, what follows) of what follows a scheme. Raises BrokerError."""
    login, _, where = rest.rpartition("@")
    if _UNSAFE.search(login):
        raise _bad_url(
            "its user or password holds a character that must be %-encoded: / as %2F, # as %23, ? as %3F, @ as %40, "
            "% as %25, [ as %5B, ] as %5D, a space as %20"
        )
    user, _, password = login.partition(":")
    if password and not user:
        raise _bad_url("it has a password but no user")
    return _decoded(user), _decoded(password), where


def _address(where: str, default: int) -> tuple[str, int]:
    """(host, port) of `host[:port]`. Raises BrokerError."""
    address = _ADDRESS.fullmatch(where)
    if address is None:
        raise _bad_url("the address is invalid; / # ? @ and % in a user or password must be %-encoded")
    port = int(address["port"] or default)
    if not 1 <= port <= 65535:
        raise _bad_url("its port is not a number from 1 to 65535")
    return (address["six"] or address["host"]).lower(), port


_SCHEMES = {"mqtt": False, "tcp": False, "mqtts": True}  # and whether that is TLS
_NATS_SCHEMES = {"nats": False, "tls": True}
_UNSAFE = re.compile(r"[/#?@\[\]\s]|%(?![0-9A-Fa-f]{2})")  # RFC 3986, section 3.2.1: what a userinfo has not
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\W_][\w.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?")


def _bad_url(why: str) -> BrokerError:
    return BrokerError(f"broker URL: {why}; expected {_MQTT_FORM}")


_MQTT_FORM = "mqtt://[user:password@]host[:port], or mqtts:// for TLS"
_NATS_FORM = "nats://[user:password@]host[:port][,host[:port]…], or tls:// for TLS"


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
    if re.match("postgres(ql)?://", value):  # of a store; its user is no secret
        return bool(re.search(r"//[^/?]*:[^/?]*@|password", value))
    try:
        return "@" in value or not (parse_nats_url if is_nats(value) else parse_broker_url)(value)
    except BrokerError:
        return True


def _decoded(text: str) -> str:
    """A user or password without its %-encoding. Raises BrokerError for what MQTT can't send (section 1.5.3)."""
    data = unquote_to_bytes(text.encode("utf-8", "surrogateescape"))
    decoded = data.decode("utf-8", "replace")
    if decoded.encode() != data or "\0" in decoded or len(data) > _TEXT_MAX:
        raise _bad_url(f"its user or password is not UTF-8 text of at most {_TEXT_MAX} bytes, without NUL")
    return decoded


def node_topics(classes: Iterable[str] = MESSAGE_CLASSES[:3], prefix: str = "+/+/+/+/+") -> tuple[str, ...]:
    """The topics that can be a node's, site/area/line/asset/node/LEAF: by default what nodes send by themselves."""
    return tuple(f"{prefix}/{message_class}" for message_class in classes)
