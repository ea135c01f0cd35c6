"""A bridge as data: the bridge.toml that `quaver bridge run` obeys, checked whole before anything starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from quaver.bridge.notify.spec import Notify, check_names
from quaver.broker.address import BrokerUrl, may_log_in, parse_broker_url
from quaver.errors import BridgeError, BrokerError, StoreError
from quaver.files.private import read_login
from quaver.files.tables import first_mistake, read_tables
from quaver.store.location import Location, PostgresqlUrl, inside, parse_location

EXAMPLE = Path(__file__).with_name("example.toml")
LOGIN = "QUAVER_BRIDGE_LOGIN"
_FILES = ("ca", "login_file", "users_file", "clients", "certificate", "key_file")  # keys of sinks


def _broker(text: str) -> str:
    if may_log_in(text):
        raise ValueError(f"user and password do not belong into this file: use `login_file`, or {LOGIN}")
    try:
        parse_broker_url(text)
    except BrokerError as error:
        raise ValueError(str(error)) from None
    return text


def _store(text: object) -> Location:
    if not isinstance(text, str):
        raise ValueError("expected a file, or postgresql://USER@HOST/NAME")
    try:
        return parse_location(text)
    except StoreError as error:
        raise ValueError(str(error)) from None


def _prefix(text: str) -> str:
    if not all(text.split("/")) or set(text) & set("+#\0") or text.startswith("$"):
        raise ValueError("expected the beginning of a topic, such as open, without + and #")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("expected address:port, such as 127.0.0.1:9464")
    return text


def _sparkplug_id(text: str) -> str:
    if not text.isprintable() or not text or set(text) & set("+/#"):
        raise ValueError("expected printable characters without + / and #")
    return text


Store = Annotated[Path | PostgresqlUrl, BeforeValidator(_store)]
Broker = Annotated[str, AfterValidator(_broker)]
SparkplugId = Annotated[str, AfterValidator(_sparkplug_id)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AtBroker(_Table):
    """Where a sink's broker is, and who connects to it."""

    broker: Broker
    ca: Path | None = None
    login_file: Path | None = None  # user:password in a line, readable for its owner alone


class Mqtt(AtBroker):
    """Where opened records go as messages."""

    prefix: Annotated[str, AfterValidator(_prefix)] = "open"
    formats: Annotated[tuple[Literal["json", "senml", "senml-cbor"], ...], Field(min_length=1)] = ("json",)
    home_assistant: str = ""  # its discovery prefix, homeassistant; empty: none


class Sparkplug(AtBroker):
    """Where the nodes are devices of one Sparkplug edge node."""

    group: SparkplugId = "quaver"
    edge_node: SparkplugId = "bridge"
    primary_host: SparkplugId | None = None  # nothing is published while it is not online

    @property
    def node(self) -> str:
        """What no other edge node may have: Sparkplug calls it the descriptor."""
        return f"{self.group}/{self.edge_node}"


class OpcUa(_Table):
    """Where clients of OPC UA connect, and who may. certificate, key_file: of the server; by default made once."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:4840"
    users_file: Path | None = None  # user:password in a line each, readable for its owner alone
    clients: Path | None = None  # a folder of certificates, of clients or of users
    certificate: Path | None = None
    key_file: Path | None = None
    plain: bool = False  # an endpoint without encryption too
    anonymous: bool = False

    @model_validator(mode="after")
    def _somebody(self) -> OpcUa:
        if not self.users_file and not self.clients and not self.anonymous:
            raise ValueError("nobody could connect: name users_file or clients, or say anonymous = true")
        if (self.certificate is None) != (self.key_file is None):
            raise ValueError("certificate and key_file belong together: name both, or none to have them made")
        return self


class Prometheus(_Table):
    """Where it is asked for metrics."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9464"


class Bridge(_Table):
    """The whole file."""

    store: Store
    state: Path = Path("bridge.sqlite")
    begin: Literal["first", "now"] = "now"  # for a sink that is new: the first record of the store, or the next one
    mqtt: Mqtt | None = None
    sparkplug: Sparkplug | None = None
    opcua: OpcUa | None = None
    prometheus: Prometheus | None = None
    notify: tuple[Notify, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Bridge:
        if not any((self.mqtt, self.sparkplug, self.opcua, self.prometheus, self.notify)):
            raise ValueError("there is no sink: add a table [mqtt], [sparkplug], [opcua], [prometheus] or [[notify]]")
        check_names(self.notify)
        if self.mqtt and self.mqtt.home_assistant and "json" not in self.mqtt.formats:
            raise ValueError('mqtt.home_assistant reads the messages of the format "json": add it to mqtt.formats')
        return self


def read_bridge(path: Path) -> Bridge:
    """The bridge of a file; its paths are relative to the file's folder. Raises BridgeError."""
    tables = read_tables(path, BridgeError, "quaver bridge new writes an example")
    try:
        bridge = Bridge.model_validate(tables)
    except ValidationError as error:
        where, said = first_mistake(error)
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BridgeError(f"{path}: {where}: {said}{more}") from None
    folder = path.parent
    found: dict[str, object] = {"store": inside(folder, bridge.store), "state": folder / bridge.state}
    for name in ("mqtt", "sparkplug", "opcua"):
        sink = getattr(bridge, name)
        if sink is not None:
            files = {key: folder / file for key in _FILES if (file := getattr(sink, key, None))}
            found[name] = sink.model_copy(update=files)
    found["notify"] = tuple(table.inside(folder) for table in bridge.notify)
    return bridge.model_copy(update=found)


def broker_of(sink: AtBroker) -> BrokerUrl:
    """The broker with its login, which is in a private file or in the environment. Raises BridgeError."""
    url = parse_broker_url(sink.broker)
    user, _, password = os.environ.get(LOGIN, "").partition(":")
    if sink.login_file:
        user, password = read_login(sink.login_file, BridgeError)
    return BrokerUrl(url.host, url.port, user, password, url.tls) if user or password else url
