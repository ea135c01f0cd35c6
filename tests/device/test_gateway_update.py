"""Nodes that only a gateway reaches take a release: over Bluetooth, chunk by chunk, each read from the broker once."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest

from quaver.broker.address import BrokerUrl
from quaver.fleet.operator import Operator
from quaver.fleet.procedures import _take
from quaver.gateway.contents import Contents
from quaver.release.publish import chunks_of
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

from .plant import RELEASE_KEY, Plant, lines
from .test_gateway_commands import AHEAD, Technician, time_server  # noqa: F401
from .test_time import Server

DUTY = {"interval_ms": 100, "window_s": 2, "rest_s": 4, "visit_s": 30}


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time stands still while the gateway of this machine waits for a broker, which keeps no such time."""
    wrap = asyncio.wrap_future

    def waited(future: concurrent.futures.Future[Any]) -> asyncio.Future[Any]:
        concurrent.futures.wait([future], 5)
        return wrap(future)

    monkeypatch.setattr("quaver.gateway.forward.asyncio.wrap_future", waited)


@pytest.mark.parametrize("kind", ["unix:", "host"])
def test_nodes_behind_a_gateway_update_over_power_cuts_and_the_broker_is_read_once(
    kind: str,
    make_plant: Callable[..., Plant],
    time_server: Server,  # noqa: F811
    patience: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plant = make_plant(seed=16)
    plant.start("n1", "n2", "gw")

    def start_gateway() -> Callable[[], Any]:
        if kind == "host":
            return plant.host_gateway("n1", "n2", file=tmp_path / "gateway.sqlite")
        return plant.gateway(kind, "n1", "n2", time_port=time_server.port).reset

    restart = start_gateway()
    nodes = [plant.node("unix:", name, files={"release.key": RELEASE_KEY.public.xy}, ble=DUTY) for name in ("n1", "n2")]
    release = plant.release("unix", tmp_path / "2.release")
    wait_until(lambda: plant.known() == 3, what="all in service")
    ask = Technician(plant, capfd)
    assert ask.json("update", str(tmp_path / "2.release"))["sequence"] == 2
    assert ask("identify", AHEAD) == "n1: blinks\n"
    assert lines(nodes[0], "node: identifies itself")

    # The second one's come from the gateway, whatever power cuts there are.
    restart()
    if kind == "host":
        start_gateway()
    for topic in chunks_of(release, "plant"):
        publish.single(topic, b"", qos=1, retain=True, port=plant.mosquitto.port)
    with Operator(BrokerUrl("127.0.0.1", plant.mosquitto.port), plant.keys, "n2", expires_s=2_000_000) as operator:
        assert _take(operator, release.envelopes) == 2
        nodes[1].reset()
        wait_until(lambda: "update_confirmed" in plant.told("n2"), what="the second node's new firmware")
    assert [account.unexplained for account in plant.accounts().values()] == [0, 0, 0]


def test_a_gateway_that_lies_changes_nothing_and_is_told(
    make_plant: Callable[..., Plant],
    patience: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    honest = Contents.chunk

    async def chunk(self: Contents, node_id: bytes, digest: bytes, number: int) -> bytes | None:
        found = await honest(self, node_id, digest, number)
        return bytes(len(found)) if found and number else found

    monkeypatch.setattr(Contents, "chunk", chunk)
    plant = make_plant(seed=17)
    plant.start("n1", "gw")
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite")
    node = plant.node("unix:", "n1", files={"release.key": RELEASE_KEY.public.xy}, ble=DUTY)
    plant.release("unix", tmp_path / "2.release")
    wait_until(lambda: plant.known() == 2, what="all in service")
    ask = Technician(plant, capfd)
    assert "did not keep release 2: wrong_content" in ask("update", str(tmp_path / "2.release"), AHEAD, code=18)
    refused = [event for event in plant.records("n1", "event") if EVENTS[event["code"]] == "message_refused"]
    assert [event["subject"] for event in refused] == ["release_wrong_content"]
    assert ask("identify", AHEAD) == "n1: blinks\n" and lines(node, "node: identify")
    left = node.exec("import os\nprint([name for name in os.listdir('/') if name.startswith('release.')])")
    assert left.strip() == "['release.key']"
