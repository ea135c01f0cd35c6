"""The broker's address, the embedded broker, and what a client of it sees."""

import socket
import threading

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from quaver.broker.address import BrokerUrl, NatsUrl, is_nats, parse_broker_url, parse_nats_url
from quaver.broker.embedded import EmbeddedBroker
from quaver.broker.jetstream import topic_of
from quaver.errors import BrokerError

WAIT_S = 10.0


class Client:
    """A plain MQTT client that remembers what it was sent."""

    def __init__(self, port: int, topics: str = "#", **will: object) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.arrived = threading.Condition()
        self._ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        if will:
            self.client.will_set(**will)
        self.client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(WAIT_S)

    def _message(self, _client, _data, message) -> None:
        with self.arrived:
            self.messages.append((message.topic, message.payload, message.retain))
            self.arrived.notify_all()

    def wait(self, count: int) -> list[tuple[str, bytes, bool]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, WAIT_S), self.messages
            return list(self.messages)

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://broker.example", BrokerUrl("broker.example")),
        ("broker.example:1884", BrokerUrl("broker.example", 1884)),
        ("tcp://10.1.2.3:9", BrokerUrl("10.1.2.3", 9)),
        ("mqtt://[::1]:1883/", BrokerUrl("::1", 1883)),
        ("mqtt://me:p%40ss@host", BrokerUrl("host", 1883, "me", "p@ss")),
    ],
)
def test_url(text: str, expected: BrokerUrl) -> None:
    assert parse_broker_url(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "mqtt://", "http://host", "wss://host", "host:port", "host:0", "host:70000", "mqtt://host/path", "[::1"],
)
def test_url_refused(text: str) -> None:
    with pytest.raises(BrokerError, match="expected mqtt://") as caught:
        parse_broker_url(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nats://one", NatsUrl((("one", 4222),))),
        ("tls://me:p%40ss@one:1,[::1]:2,Three", NatsUrl((("one", 1), ("::1", 2), ("three", 4222)), "me", "p@ss", True)),
    ],
)
def test_url_of_nats(text: str, expected: NatsUrl) -> None:
    assert is_nats(text) and parse_nats_url(text) == expected
    assert "p@ss" not in f"{expected} {expected!r}" and parse_nats_url(str(expected)).servers == expected.servers


@pytest.mark.parametrize("text", ["nats://", "nats://a,", "nats://:x@a", "nats://a:0", "tls://a/b", "nats://a;b"])
def test_url_of_nats_refused(text: str) -> None:
    with pytest.raises(BrokerError, match="expected nats://"):
        parse_nats_url(text)


@pytest.mark.parametrize(
    ("topic", "subject"),
    [("a/b/telemetry", "a.b.telemetry"), ("a.b/c", "a//b.c"), ("a//b", "a./.b"), ("/a", "/.a"), ("a/.b", "a.//b")],
)
def test_the_topic_of_a_subject_of_nats(topic: str, subject: str) -> None:
    """Both as nats-server 2.15.1 has them."""
    assert topic_of(subject) == topic.encode()


def test_nats_is_for_ingest_alone() -> None:
    with pytest.raises(BrokerError, match="NATS is for quaver ingest alone; expected mqtt://"):
        parse_broker_url("nats://one")


def test_loopback() -> None:
    assert parse_broker_url("localhost:1").loopback
    assert parse_broker_url("127.0.0.7").loopback
    assert not parse_broker_url("10.0.0.1").loopback


def test_delivers_and_retains() -> None:
    with EmbeddedBroker() as broker:
        with Client(broker.port) as first:
            first.publish("a/b/status", b"here", retain=True)
            first.publish("a/b/telemetry", b"\x00\xff")
            assert first.wait(2) == [("a/b/status", b"here", False), ("a/b/telemetry", b"\x00\xff", False)]
        with Client(broker.port) as second:
            assert second.wait(1) == [("a/b/status", b"here", True)]


def test_retained_messages_go_to_subscribers_alone() -> None:
    """A node subscribes to nothing, and must not be sent what others have subscribed to."""
    with EmbeddedBroker() as broker, Client(broker.port, "#") as watcher:
        watcher.publish("a/status", b"here", retain=True)
        watcher.wait(1)
        with Client(broker.port, "mine/#") as node:
            node.publish("mine/last", b"")
            assert node.wait(1) == [("mine/last", b"", False)]


def test_last_will() -> None:
    with EmbeddedBroker() as broker, Client(broker.port) as watcher:
        node = Client(broker.port, "none", topic="n/status", payload=b"gone", qos=1, retain=True)
        node.client.socket().shutdown(socket.SHUT_RDWR)
        assert watcher.wait(1) == [("n/status", b"gone", False)]
        node.close()


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"can't listen on 127.0.0.1:{port}"):
            EmbeddedBroker(port).start()


def test_restarts_on_its_port() -> None:
    broker = EmbeddedBroker()
    with broker:
        port = broker.port
    with broker, Client(port) as client:
        client.publish("t", b"1")
        assert client.wait(1) == [("t", b"1", False)]
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def test_a_url_with_tls_has_its_own_port() -> None:
    url = parse_broker_url("mqtts://me:secret@plant.example")
    assert (url.host, url.port, url.tls) == ("plant.example", 8883, True)
    assert str(url) == "mqtts://plant.example:8883"
