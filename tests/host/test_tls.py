"""The broker of docs/mosquitto.md as it stands there: TLS, a user for every node, topics that are that node's alone."""

import contextlib
import datetime
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from example_broker import lay_out
from fleet import PLACE, Node
from test_ingest import PUMP, run, stored

from quaver.bench.mosquitto import Mosquitto
from quaver.board.interface import Board
from quaver.broker.address import BrokerUrl, parse_broker_url
from quaver.broker.client import other_kind
from quaver.build import firmware_files
from quaver.cli import main
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import BrokerError
from quaver.fleet.keys import KeyStore
from quaver.gateway.forward import Forward
from quaver.gateway.spool import Spool
from quaver.messages.monitor import Monitor
from tests.programs import program
from tests.waiting import wait_until

WAIT_S = 10.0
USERS = {"pump-7": "one secret", "fan-1": "another", "ingest": "a third", "commands": "a fourth"}
NAMES = "IP:127.0.0.1"


@pytest.fixture(scope="module")
def etc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The page's files, and the configuration that names them."""
    folder = tmp_path_factory.mktemp("etc")
    return folder, lay_out(folder, USERS, NAMES)


@pytest.fixture
def broker(etc: tuple[Path, str], start_mosquitto: Callable[[str], Any]) -> Any:
    return start_mosquitto(etc[1])


@pytest.fixture
def ca(etc: tuple[Path, str]) -> Path:
    return etc[0] / "ca.crt"


def url(port: int, user: str = "ingest", password: str | None = None) -> str:
    return f"mqtts://{user}:{(password or USERS[user]).replace(' ', '%20')}@127.0.0.1:{port}"


class Person:
    """Somebody with a user and a password: what reached them on which topics."""

    def __init__(self, port: int, ca: Path, user: str, topics: str = "#") -> None:
        self.got: list[tuple[str, bytes]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"{user}-test")
        self.client.username_pw_set(user, USERS[user])
        self.client.tls_set(str(ca))
        self.client.on_message = lambda _c, _d, message: self.got.append((message.topic, message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._done(lambda: self.client.subscribe(topics, qos=1)[1], "on_subscribe")

    def _done(self, act: Callable[[], Any], callback: str) -> None:
        import threading

        answered = threading.Event()
        setattr(self.client, callback, lambda *_: answered.set())
        act()
        assert answered.wait(WAIT_S)

    def publish(self, topic: str, payload: bytes = b"x") -> None:
        """Publish, and return when the broker has dealt with it."""
        self.client.publish(topic, payload, qos=1).wait_for_publish(WAIT_S)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def person(broker: Any, ca: Path) -> Iterator[Callable[..., Person]]:
    people: list[Person] = []

    def enter(user: str, topics: str = "#") -> Person:
        people.append(Person(broker.port, ca, user, topics))
        return people[-1]

    yield enter
    for one in people:
        one.stop()


def test_a_node_reaches_its_own_topics_alone(person: Callable[..., Person]) -> None:
    watcher = person("ingest", f"{PLACE}/+/telemetry")
    mine, others = f"{PLACE}/pump-7/telemetry", f"{PLACE}/fan-1/telemetry"
    for topic in (others, f"{PLACE}/fan-1/command", f"{PLACE}/pump-7/command", "anything"):
        thief = person("pump-7")
        with contextlib.suppress(RuntimeError):  # this Mosquitto closes the connection of who tries
            thief.publish(topic, b"forged")
        assert thief.got == []
    person("pump-7").publish(mine, b"own")  # behind the rest: once it is there, nothing else is to come
    wait_until(lambda: watcher.got)
    assert watcher.got == [(mine, b"own")]


def test_a_node_hears_its_own_commands_alone(person: Callable[..., Person]) -> None:
    pump, fan = person("pump-7"), person("fan-1", f"{PLACE}/pump-7/command")
    commander = person("commands", "nothing")
    commander.publish(f"{PLACE}/fan-1/command", b"for the fan")
    commander.publish(f"{PLACE}/pump-7/command", b"for the pump")
    commander.publish(f"{PLACE}/pump-7/telemetry", b"not a command")
    wait_until(lambda: pump.got)
    assert pump.got == [(f"{PLACE}/pump-7/command", b"for the pump")]
    assert fan.got == []


def test_records_go_from_a_node_to_the_store_over_tls(broker: Any, ca: Path, tmp_path: Path) -> None:
    keys, path = KeyStore(tmp_path / "keys"), tmp_path / "s.sqlite"
    pump = Node(keys, PUMP, "pump-7")
    command = [sys.executable, "-m", "quaver.cli", "ingest", "--ca", str(ca), "--store", str(path), "--count", "20"]
    environment = {**os.environ, "QUAVER_BROKER": url(broker.port), "QUAVER_KEYS": str(keys.folder)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert f"mqtts://127.0.0.1:{broker.port}" in line and "third" not in line
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.username_pw_set("pump-7", USERS["pump-7"])
    client.tls_set(str(ca))
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for one in [client.publish(pump.topic("telemetry"), pump.seal(), qos=1) for _ in range(20)]:
        one.wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert stored(path, 20) == 20


def test_what_a_host_is_told_when_tls_fails(
    broker: Any, mosquitto_plain: Any, ca: Path, tmp_path: Path, other_ca: Path
) -> None:
    keys = KeyStore(tmp_path / "keys")
    keys.create(PUMP)
    for where, trusted, words in (
        (url(broker.port), other_ca, "its certificate is not trusted"),
        (url(broker.port), None, "its certificate is not trusted"),
        (url(broker.port).replace("127.0.0.1", "localhost"), ca, "certificate is not trusted: Hostname mismatch"),
        (url(broker.port, password="wrong"), ca, "check the user and password|bad user or password"),
        (url(broker.port).replace("mqtts", "mqtt"), ca, "speaks TLS at that port; write mqtts://"),
        (
            url(mosquitto_plain.port),
            ca,
            "speaks MQTT without TLS at that port; name its port for TLS, or write mqtt://",
        ),
    ):
        more = ("--ca", trusted) if trusted else ()
        result = run(
            "ingest", "--store", tmp_path / "s", *more, QUAVER_BROKER=where, QUAVER_KEYS=str(keys.folder)
        )  # fmt: skip
        assert result.returncode == 7, result.stderr
        assert any(word in result.stderr for word in words.split("|")), result.stderr
        assert len(result.stderr.splitlines()) == 1 and "wrong" not in result.stderr


def test_every_command_says_that_a_port_is_of_the_other_kind(
    broker: Any, mosquitto_plain: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    keys = KeyStore(tmp_path / "keys")
    keys.create(PUMP, "pump-7")
    monkeypatch.setenv("QUAVER_KEYS", str(keys.folder))
    for where, words in (
        (url(broker.port).replace("mqtts", "mqtt"), "speaks TLS at that port; write mqtts://"),
        (url(mosquitto_plain.port), "speaks MQTT without TLS at that port; name its port for TLS, or write mqtt://"),
    ):
        monkeypatch.setenv("QUAVER_BROKER", where)
        for command in (
            ("monitor",),
            ("ingest", "--store", str(tmp_path / "s")),
            ("emulate", "unix", "--model", "healthy", "--json"),
            ("node", "pump-7", "measure"),
        ):
            assert main([*command]) == 7
            (line,) = capsys.readouterr().err.splitlines()[-1:]
            assert line.startswith(f"quaver: broker {parse_broker_url(where)}: {words}"), (command, line)
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        with Spool(tmp_path / "g.sqlite") as spool, Forward(parse_broker_url(where), spool, {PUMP: PLACE}, said.put):
            assert words in said.get(timeout=WAIT_S)


def test_what_is_no_broker_is_not_taken_for_one() -> None:
    """Who answers in neither way, or not at all, is told nothing about."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"220 mail.example ESMTP\r\n")
                    connection.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        assert [other_kind(BrokerUrl("127.0.0.1", port, tls=tls)) for tls in (True, False)] == ["", ""]
        thread.join()
    assert [other_kind(BrokerUrl("127.0.0.1", port, tls=tls)) for tls in (True, False)] == ["", ""]


def test_the_monitor_takes_tls_too(broker: Any, ca: Path, other_ca: Path) -> None:
    there = BrokerUrl("127.0.0.1", broker.port, "ingest", USERS["ingest"], tls=True)
    with Monitor(there, ca=ca):
        pass
    with pytest.raises(BrokerError, match="its certificate is not trusted"):
        Monitor(there, ca=other_ca).start()


@pytest.fixture
def mosquitto_plain(tmp_path: Path) -> Iterator[Any]:
    with Mosquitto(tmp_path / "plain") as plain:
        yield plain


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    lay_out(folder, {"x": "y"}, NAMES)
    return folder / "ca.crt"


def expired(folder: Path) -> Path:
    """The broker's certificate as it will be when nobody thought of it: signed by the same CA, and past its day."""
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    valid = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    day = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(authority.subject, valid.subject, valid.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(day).not_valid_after(day + datetime.timedelta(days=1))
    for extension in valid.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    path = folder / "expired.crt"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))  # type: ignore[arg-type]
    return path


CONNECT = program(__file__, "connect")


@pytest.fixture(scope="module")
def node(etc: tuple[Path, str], other_ca: Path) -> Iterator[Board]:
    """A unix board with the firmware and a few CAs on its flash."""
    files = {path: data for path, data in firmware_files("unix").items() if path != "main.py"}
    files["ca.pem"] = (etc[0] / "ca.crt").read_bytes()
    files["dos.pem"] = files["ca.pem"].replace(b"\n", b"\r\n")
    der = x509.load_pem_x509_certificate(files["ca.pem"]).public_bytes(serialization.Encoding.DER)
    files |= {"ca.der": der, "other.pem": other_ca.read_bytes(), "junk.pem": b"junk", "cut.pem": files["ca.pem"][:300]}
    with open_board("unix:", Setup(files=files)) as board:
        board.exec(CONNECT)
        yield board


def ups(node: Board, port: int, ca: str = "/ca.pem", host: str = "127.0.0.1", **more: str) -> str:
    given = "".join(f", {name}={value!r}" for name, value in more.items())
    return node.exec(f"up({host!r}, {port}, {ca!r}{given})").strip()


def test_a_node_connects_with_its_ca_in_any_form(node: Board, broker: Any) -> None:
    for name in ("/ca.pem", "/ca.der", "/dos.pem"):
        assert ups(node, broker.port, name) == "up"


def test_what_a_node_says_when_tls_fails(
    node: Board, broker: Any, mosquitto_plain: Any, etc: tuple[Path, str], tmp_path: Path
) -> None:
    port = broker.port
    assert ups(node, port, "/other.pem").startswith("broker's certificate not trusted: ")
    assert ups(node, port, host="localhost") == "broker's certificate is for another name"
    for name in ("/missing.pem", "/junk.pem", "/cut.pem"):
        assert ups(node, port, name) == f"no CA certificate in {name}"
    assert ups(node, port, password="wrong") in ("wrong broker user or password", "not authorised at the broker")
    assert ups(node, mosquitto_plain.port) == "no TLS at the broker's port"
    with Mosquitto(tmp_path / "old", etc[1].replace("server.crt", expired(etc[0]).name)) as old:
        assert ups(node, old.port) == "broker's certificate expired, or the clock is wrong"
    mosquitto_plain.stop()
    assert ups(node, mosquitto_plain.port).startswith("broker unreachable")
    assert ups(node, port) == "up"
