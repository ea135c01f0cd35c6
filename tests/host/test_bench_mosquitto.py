"""The Mosquitto that tests and benches start: it keeps what it has over a restart, and says why it does not start."""

from pathlib import Path

import paho.mqtt.publish as publish
import paho.mqtt.subscribe as subscribe
import pytest

from quaver.bench.mosquitto import Mosquitto
from quaver.errors import BrokerError


def test_it_comes_back_at_its_port_with_what_it_kept(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "new" / "folder") as broker:
        before = broker.url
        publish.single("a/b", b"kept", qos=1, retain=True, port=broker.port)
        broker.stop()
        broker.start()
        assert broker.url == before
        assert subscribe.simple("a/b", port=broker.port).payload == b"kept"


def test_why_it_does_not_start_is_told(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "nonsense true")
    with pytest.raises(BrokerError, match=r"does not start .*Unknown configuration variable .*nonsense") as caught:
        broker.start()
    assert "\n" not in str(caught.value)
    with Mosquitto(tmp_path / "first") as first:
        second = Mosquitto(tmp_path / "second")
        second.port = first.port  # it was its own before, and somebody took it meanwhile
        with pytest.raises(BrokerError, match="in use"):
            second.start()
