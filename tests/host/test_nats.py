"""NATS in place of a broker: nodes publish MQTT at any server of a cluster, workers share a consumer of JetStream."""

import asyncio
import dataclasses
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import nats
import paho.mqtt.client as paho
import pytest
from example_broker import blocks
from fleet import Node, publish
from nats.js.api import ConsumerConfig
from test_ingest import FAN, PUMP, said_by, start
from test_sealed_node import NAME, NODE, config
from test_workers import end

from quaver.bench.nats import Nats
from quaver.bench.nats_ingest import run_nats
from quaver.bench.postgresql import QUICK, Postgresql
from quaver.broker.address import NatsUrl
from quaver.broker.jetstream import STREAM, JetStreamSession
from quaver.build import firmware_files
from quaver.cli import main
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.keys import KeyStore
from quaver.ingest.run import TOPICS
from quaver.store.ledger import ledger
from quaver.store.location import Location, PostgresqlUrl, open_records
from quaver.store.store import Store
from tests.waiting import wait_until

MOTOR = bytes.fromhex("00112233445566aa")
ACK_WAIT_S = 2.0  # in place of half a minute: so long a message waits for a worker that was killed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "nats") as cluster:
        yield cluster


def shorten(cluster: Nats, location: Location) -> str:
    """Have a store's consumer hand out again after ACK_WAIT_S, as one who runs the servers may set it; its name."""
    with open_records(location) as store, JetStreamSession(cluster.url, store.client_id, TOPICS) as session:
        assert session.connect() is False
        name = store.client_id

    async def change() -> None:
        client = await nats.connect([f"nats://127.0.0.1:{port}" for port in cluster.nats])
        stream = client.jetstream()
        config: ConsumerConfig = (await stream.consumer_info(STREAM, name)).config
        config.ack_wait = ACK_WAIT_S
        await stream.add_consumer(STREAM, config)
        await client.close()

    asyncio.run(change())
    return name


async def handed_out_again(cluster: Nats, name: str) -> int:
    client = await nats.connect(f"nats://127.0.0.1:{cluster.nats[0]}")
    info = await client.jetstream().consumer_info(STREAM, name)
    await client.close()
    return info.num_redelivered or 0


class Publisher(threading.Thread):
    """A node that publishes at one server of the cluster at QoS 1 until it is told to end, however often it is cut."""

    def __init__(self, port: int, node: Node) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self._node = node
        self._port = port
        self._end = threading.Event()

    def run(self) -> None:
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, f"node-{self._port}", clean_session=False, protocol=paho.MQTTv311
        )
        taken = threading.Event()
        client.on_publish = lambda *_: taken.set()
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        while not self._end.wait(0.005):
            taken.clear()
            client.publish(self._node.topic("telemetry"), self._node.seal(), qos=1)
            taken.wait()
            self.acknowledged += 1
        client.disconnect()
        client.loop_stop()

    def go_on(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = self.acknowledged + count
        wait_until(lambda: self.acknowledged >= wanted)

    def end(self) -> int:
        """How many it has published."""
        self._end.set()
        self.join()
        return self.acknowledged


@pytest.mark.nightly  # test_bridge.py and test_workers.py kill the others
def test_a_worker_and_a_server_are_killed_and_each_record_is_there_once(
    cluster: Nats, postgresql: Postgresql, keys: KeyStore
) -> None:
    where = PostgresqlUrl(postgresql.create())
    nodes = [Node(keys, PUMP, "pump-7"), Node(keys, FAN, "fan.1"), Node(keys, MOTOR, "motor-3")]
    shorten(cluster, where)
    a, b = (start(str(cluster.url), where, keys, "--worker", name) for name in "ab")
    for process in (a, b):
        said_by(process, "storing the messages from nats://127.0.0.1")
    publishers = [Publisher(port, node) for port, node in zip(cluster.mqtt, nodes, strict=True)]
    for publisher in publishers:
        publisher.start()
        publisher.go_on(50)
    b.kill()  # somewhere between taking, committing and acknowledging
    b.communicate()
    publishers[0].go_on(50)
    b = start(str(cluster.url), where, keys, "--worker", "b")
    said_by(b, "storing the messages from")
    cluster.stop(0, signal.SIGKILL)  # the one that the workers are connected to
    for process in (a, b):
        said_by(process, "connection lost")
        said_by(process, "connected again")
    for publisher in publishers[1:]:  # two of three go on
        publisher.go_on(50)
    cluster.start(0)
    publishers[0].go_on(50)
    published = [publisher.end() for publisher in publishers]
    with open_records(where, write=False) as store:
        wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] >= sum(published))
        accounts, strangers = ledger(store)
        assert sorted((one.received, one.unexplained, one.waiting, one.refused) for one in accounts) == [
            (count, 0, 0, {}) for count in sorted(published)
        ]
        assert strangers == []
        keyed = store.query("SELECT count(*) FROM record_key")[0][0]
        assert keyed == store.query("SELECT count(*) FROM (SELECT DISTINCT node, boot, seq FROM record) AS r")[0][0]
    end(a, b)


ROOT = Path(__file__).resolve().parents[2]
USERS = {"pump-7": "one secret", "commands": "a fourth", "ingest": "a third", "release": "a fifth"}


class Documented(Nats):
    """The servers of docs/nats.md, with their ports and paths of this machine."""

    def __enter__(self) -> Self:
        _, users = self._documented()
        for user, password in USERS.items():
            users = users.replace(f"PASSWORD-OF-{user}", password)
        assert "PASSWORD" not in users
        # once, before any starts: a server that includes it while it is empty lets everybody do everything
        (self.folder / "users.conf").write_text(users)
        return super().__enter__()

    def _documented(self) -> list[str]:
        return re.findall(r"^```conf\n(.*?)^```", (ROOT / "docs/nats.md").read_text(), re.M | re.S)

    @property
    def url(self) -> NatsUrl:
        return dataclasses.replace(super().url, tls=True)

    def configuration(self, number: int) -> str:
        servers, _ = self._documented()
        here = {
            "server_name: n1": f"server_name: n{number + 1}",
            "0.0.0.0:4222": f"127.0.0.1:{self.nats[number]}",
            "0.0.0.0:8883": f"127.0.0.1:{self.mqtt[number]}",
            "0.0.0.0:6222": f"127.0.0.1:{self.routes[number]}",
            "/var/lib/nats": str(self.folder / str(number)),
            **{f"n{one + 1}.example:6222": f"127.0.0.1:{port}" for one, port in enumerate(self.routes)},
            **{name: str(self.folder / name) for name in ("server.crt", "server.key", "ca.crt")},
        }
        for there, mine in here.items():
            assert there in servers
            servers = servers.replace(there, mine)
        return servers


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    folder = tmp_path_factory.mktemp("nats")
    _, certificates = blocks("sh")
    script = re.sub(r"^NAME=.*$", "NAME=IP:127.0.0.1", certificates, flags=re.M)
    script = script.replace("extendedKeyUsage=serverAuth", "extendedKeyUsage=serverAuth,clientAuth")
    subprocess.run(["sh", "-eu", "-c", script], cwd=folder, check=True, capture_output=True)
    with Documented(folder) as cluster:
        yield cluster


def login(folder: Path, user: str, password: str | None = None) -> Path:
    path = folder / f"login-{user}"
    path.write_text(f"{user}:{password or USERS[user]}\n")
    path.chmod(0o600)
    return path


def mqtt(cluster: Nats, user: str, number: int = 0) -> paho.Client:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, user, protocol=paho.MQTTv311)
    client.username_pw_set(user, USERS[user])
    client.tls_set(str(cluster.folder / "ca.crt"))
    client.connect("127.0.0.1", cluster.mqtt[number])
    client.loop_start()
    return client


def test_records_come_from_the_documented_servers_and_from_their_nodes_alone(
    documented: Nats, tmp_path: Path, keys: KeyStore
) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    ca = documented.folder / "ca.crt"
    command = ("--ca", ca, "--login-file", login(tmp_path, "ingest"), "--count", 41)
    process = start(str(documented.url), path, keys, *command)
    assert str(documented.url).startswith("tls://")
    said_by(process, f"storing the messages from {documented.url}")
    node = mqtt(documented, "pump-7", 1)
    for topic in ("plant/hall/line-2/pump/fan-1/telemetry", pump.topic("command"), "$MQTT/msgs/a"):
        node.publish(topic, pump.seal(at=(9, 9)), qos=1).wait_for_publish(20)
    for _ in range(40):
        node.publish(pump.topic("telemetry"), pump.seal(), qos=1)
    node.publish(pump.topic("status"), pump.seal("status"), qos=1, retain=True).wait_for_publish(20)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    with Store(path, write=False) as store:
        (account,), strangers = ledger(store)
    assert (account.received, account.unexplained, account.refused, strangers) == (41, 0, {}, [])
    heard: list[tuple[str, bool]] = []
    commander = mqtt(documented, "commands", 2)  # what another server keeps
    commander.on_message = lambda _c, _d, message: heard.append((message.topic, message.retain))
    commander.subscribe("+/+/+/+/+/status", qos=1)
    wait_until(lambda: heard)
    assert heard == [(pump.topic("status"), True)]
    got: list[bytes] = []
    granted: list[Any] = []
    node.on_message = lambda _c, _d, message: got.append(message.payload)
    node.on_subscribe = lambda _c, _d, _mid, codes, _p: granted.extend(codes)
    node.subscribe([(pump.topic("command"), 1), ("plant/hall/line-2/pump/fan-1/command", 1)])
    wait_until(lambda: granted)
    assert [code.is_failure for code in granted] == [False, True]
    commander.publish(pump.topic("command"), b"for the pump", qos=1)
    wait_until(lambda: got == [b"for the pump"])
    for client in (node, commander):
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def ingest(tmp_path: Path, keys: KeyStore, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `quaver ingest` to its end: (exit code, what it said). broker: its URL as an argument, or else in the
    environment.
    """

    def run(broker: str, *more: object, quietly: str = "") -> tuple[int, str]:
        monkeypatch.setenv("QUAVER_BROKER", quietly)
        where = ("--broker", broker) if broker else ()
        store = ("--store", tmp_path / "s.sqlite", "--keys", keys.folder)
        code = main(["ingest", *map(str, (*store, *where, *more))])
        return code, capsys.readouterr().err

    return run


def test_what_is_wrong_is_one_line(
    documented: Nats, tmp_path: Path, keys: KeyStore, ingest: Callable[..., Any]
) -> None:
    keys.create(PUMP)
    ca, url, port = documented.folder / "ca.crt", str(documented.url), documented.nats[0]
    good, shared = login(tmp_path, "ingest"), tmp_path / "shared"
    shared.write_text("ingest:a third")
    shared.chmod(0o644)
    for broker, options, words in (
        (url, ("--ca", ca, "--login-file", login(tmp_path, "pump-7")), "and that this user may connect to NATS"),
        (url, ("--ca", ca, "--login-file", login(tmp_path, "nobody", "x")), "check the user and password"),
        (url, ("--ca", ca), "refused the connection"),
        (url, ("--login-file", good), "its certificate is not trusted"),
        (url.replace("tls", "nats"), ("--login-file", good), "asks for TLS; write tls:// and name its CA"),
        (url, ("--ca", ca, "--login-file", shared), "other users can read it"),
        (url, ("--ca", ca, "--login-file", tmp_path / "none"), "there is no such file; write user:password"),
        (f"tls://127.0.0.1:{documented.mqtt[0]}", ("--ca", ca, "--login-file", good), "NATS"),
        (f"tls://ingest:hunter2@127.0.0.1:{port}", ("--ca", ca), "has a password, which every user of this machine"),
        ("tls://127.0.0.1:1", ("--ca", ca), "Connection refused; start it, or name one that runs"),
        ("nats://a b", (), "the address is invalid"),
        ("nats://[::1]:99999", (), "its port is not a number from 1 to 65535; expected nats://"),
        (url, ("--leave",), "--leave: give --worker"),
    ):
        code, said = ingest(broker, *options)
        assert code in (2, 7) and words in said.splitlines()[-1], said
        assert "hunter2" not in said and "third" not in said and "Traceback" not in said
        assert len(said.splitlines()) == 1 or code == 2
    code, said = ingest(url, "--worker", "a", "--leave")
    assert code == 2 and "with NATS nothing waits for one worker" in said
    code, said = ingest("", "--ca", ca, quietly=url.replace("tls://", "tls://ingest:wrong@"))
    assert code == 7 and "check the user and password" in said and "wrong" not in said


_WITHOUT = ["x"]
_TO_CONNECT = ["$JS.API.STREAM.>", "$JS.API.CONSUMER.INFO.>", "$JS.API.CONSUMER.CREATE.>"]


@pytest.mark.parametrize(
    ("may", "words"),
    [
        (None, "no server has JetStream for this user; switch it on"),
        (_WITHOUT, "refuses this user: permissions violation for publish to"),
        (_TO_CONNECT, "refuses this user: permissions violation for publish to"),
    ],
    ids=["no JetStream", "nothing", "all but to take messages"],
)
def test_servers_that_are_not_set_up_for_it(
    may: list[str] | None, words: str, tmp_path: Path, keys: KeyStore, ingest: Callable[..., Any]
) -> None:
    class Plain(Nats):
        def configuration(self, number: int) -> str:
            listen = f"listen: 127.0.0.1:{self.nats[number]}\n"
            if may is None:
                return listen
            user = f'{{ user: a, password: b, permissions: {{ publish: {json.dumps(may)}, subscribe: ["_INBOX.>"] }} }}'
            return f"{listen}jetstream {{ store_dir: {tmp_path / 'js'} }}\nauthorization {{ users: [{user}] }}"

    keys.create(PUMP)
    with Plain(tmp_path / "nats", servers=1) as server:
        code, said = ingest("", quietly=str(server.url).replace("//", "//a:b@"))
    assert code == 7 and words in said.splitlines()[-1] and said.count("broker") <= 2, said


def test_without_the_library_it_is_named(keys: KeyStore, ingest: Callable[..., Any], monkeypatch: Any) -> None:
    keys.create(PUMP)
    monkeypatch.delitem(sys.modules, "quaver.broker.jetstream")
    monkeypatch.setitem(sys.modules, "nats", None)
    assert ingest("nats://127.0.0.1") == (
        7, "quaver: nats: needs the library nats-py; run: pip install 'quaver[nats]'\n"
    )  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats"), servers=1) as server:
        yield server


def test_what_comes_while_ingest_is_away_waits_for_it(one: Nats, tmp_path: Path, keys: KeyStore) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    for count in (30, 60):  # the second has to take what came since the first
        process = start(str(one.url), path, keys, "--count", count)
        said_by(process, "storing the messages from")
        publish(one.mqtt[0], [(pump.topic("telemetry"), pump.seal()) for _ in range(30)])
        assert process.wait(60) == 0
        publish(one.mqtt[0], [(pump.topic("telemetry"), pump.seal()) for _ in range(30)])
    with Store(path, write=False) as store:
        (account,), _ = ledger(store)
    assert (account.received, account.unexplained, account.refused) == (90, 0, {})


def test_a_node_s_records_and_its_last_will_come_through(one: Nats, tmp_path: Path, keys: KeyStore) -> None:
    """The real firmware: online as at any broker, and told to be gone when its power is."""
    key, path = keys.create(NODE, NAME).keys[1], tmp_path / "s.sqlite"
    files = firmware_files("unix", config())
    files["device.key"] = json.dumps({"generation": 1, "key": key.hex()}).encode()
    process = start(str(one.url), path, keys)
    said_by(process, "storing the messages from")
    with Store(path, write=False) as store:
        with open_board("unix:", Setup(files=files, broker_port=one.mqtt[0], name=NAME)) as board:
            wait_until(lambda: store.query("SELECT count(*) FROM record WHERE class = 'telemetry'")[0][0] >= 3, board)
            assert b"online" in board.console()
        states = "SELECT json_extract(body, '$.state') FROM record WHERE class = 'status' ORDER BY arrival"
        wait_until(lambda: [state for (state,) in store.query(states)][-1:] == [0])
        assert {state for (state,) in store.query(states)} == {0, 1}
        (account,), strangers = ledger(store)
    assert (account.unexplained, account.refused, strangers) == (0, {}, [])
    end(process)


def test_a_database_that_is_away_longer_than_a_message_waits(one: Nats, keys: KeyStore) -> None:
    """Meanwhile the server hands it out again; nothing is there twice, and nothing passes for a replay."""
    pump = Node(keys, PUMP, "pump-7")
    with Postgresql(QUICK) as server:
        where = PostgresqlUrl(server.create())
        name = shorten(one, where)
        a, b = (start(str(one.url), where, keys, "--worker", name) for name in "ab")
        for process in (a, b):
            said_by(process, "storing the messages from")
        server.stop()
        publish(one.mqtt[0], [(pump.topic("telemetry"), pump.seal()) for _ in range(300)])
        wait_until(lambda: asyncio.run(handed_out_again(one, name)))
        server.start()
        with open_records(where, write=False) as store:
            wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] == 300)
            (account,), _ = ledger(store)
            assert (account.received, account.unexplained, account.refused) == (300, 0, {})
        end(a, b)


def test_the_bench_counts_what_came_through_nats() -> None:
    figures = run_nats(300, lambda words: None)
    assert [figure.unit for figure in figures] == ["records/s", "us a record", "us a record", "us a record"]
    assert all(figure.value > 0 for figure in figures[:3])
