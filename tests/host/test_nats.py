"""NATS in place of a broker: nodes publish MQTT at any server of a cluster, workers share a consumer of JetStream."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import nats
import paho.mqtt.client as paho
import pytest
from fleet import Node
from nats.js.api import ConsumerConfig
from test_ingest import FAN, PUMP, said_by, start
from test_workers import end

from quaver.bench.nats import Nats
from quaver.bench.postgresql import Postgresql
from quaver.broker.jetstream import STREAM, JetStreamSession
from quaver.fleet.keys import KeyStore
from quaver.ingest.run import TOPICS
from quaver.store.ledger import ledger
from quaver.store.location import Location, PostgresqlUrl, open_records
from tests.waiting import wait_until

MOTOR = bytes.fromhex("00112233445566aa")
ACK_WAIT_S = 3.0  # in place of half a minute: so long a message waits for a worker that was killed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "nats") as cluster:
        yield cluster


def shorten(cluster: Nats, location: Location) -> None:
    """Have a store's consumer hand out again after ACK_WAIT_S, as one who runs the servers may set it."""
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
            paho.CallbackAPIVersion.VERSION2, self._node.name, clean_session=False, protocol=paho.MQTTv311
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


def test_a_worker_and_a_server_are_killed_and_each_record_is_there_once(
    cluster: Nats, postgresql: Postgresql, keys: KeyStore
) -> None:
    where = PostgresqlUrl(postgresql.create())
    nodes = [Node(keys, PUMP, "pump-7"), Node(keys, FAN, "fan-1"), Node(keys, MOTOR, "motor-3")]
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
