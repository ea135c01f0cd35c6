"""Finding a node before it is commanded: by what the broker kept of it, however much it says meanwhile."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import paho.mqtt.publish as mqtt
import pytest
from fleet import Node

from quaver.broker.address import BrokerUrl
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator
from quaver_wire.names import STATES

_ENOUGH = 500  # messages, in ten seconds: a command waits for thirty


class Chatterbox:
    """Publishes a node's events, one soon after the other, until it is told to stop or has said enough."""

    def __init__(self, node: Node, port: int) -> None:
        self.said = 0
        self._stop = threading.Event()
        self._node = node
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        while self.said < _ENOUGH and not self._stop.wait(0.02):
            self._client.publish(self._node.topic("event"), self._node.seal("event"))
            self.said += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def node(mosquitto: Any, tmp_path: Path) -> Iterator[Node]:
    keys = KeyStore(tmp_path / "keys")
    found = Node(keys, bytes.fromhex("e6614c311b7e6f25"), "n1")
    status = found.seal("status", state=STATES.index("online"))
    mqtt.single(found.topic("status"), status, qos=1, retain=True, hostname="127.0.0.1", port=mosquitto.port)
    chatterbox = Chatterbox(found, mosquitto.port)
    yield found
    chatterbox.stop()
    assert chatterbox.said < _ENOUGH


def test_a_node_that_never_stops_talking_is_found_and_commanded(node: Node, mosquitto: Any, tmp_path: Path) -> None:
    with Operator(BrokerUrl("127.0.0.1", mosquitto.port), KeyStore(tmp_path / "keys"), "n1") as operator:
        presence = operator.presence
        assert presence is not None and (presence.state, presence.prefix) == ("online", node.topic("")[:-1])
        operator.send("identify")
