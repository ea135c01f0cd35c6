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

KEY = {"release.key": RELEASE_KEY.public.xy}
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


@pytest.mark.slowest
def test_two_nodes_update_through_a_gateway_that_reads_the_broker_once(
    make_plant: Callable[..., Plant],
    time_server: Server,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plant = make_plant(seed=16)
    plant.start("n1", "n2", "gw")
    release = plant.release("unix", tmp_path / "2.release", least_s=2)
    with plant.standing():
        gateway = plant.gateway("unix:", "n1", "n2", time_port=time_server.port)
        nodes = [plant.node("unix:", name, files=KEY, ble=DUTY, interval_s=60) for name in ("n1", "n2")]
    wait_until(lambda: plant.known() == 3, what="all in service")
    ask = Technician(plant, capfd)
    assert ask.json("update", str(tmp_path / "2.release"))["sequence"] == 2
    assert ask("identify", AHEAD) == "n1: blinks\n"
    assert lines(nodes[0], "node: identifies itself")

    # What the second one gets has the gateway alone, over a power cut of both.
    gateway.reset()
    for topic in chunks_of(release, "plant"):
        publish.single(topic, b"", qos=1, retain=True, port=plant.mosquitto.port)
    with Operator(BrokerUrl("127.0.0.1", plant.mosquitto.port), plant.keys, "n2", expires_s=2_000_000) as operator:
        assert _take(operator, release.envelopes) == 2
        nodes[1].reset()
        wait_until(lambda: "update_confirmed" in plant.told("n2"), what="the second node's new firmware")
    assert [account.unexplained for account in plant.accounts().values()] == [0, 0, 0]


@pytest.mark.slowest
def test_a_gateway_takes_releases_itself_and_leaves_one_that_does_not_reach_the_broker(
    make_plant: Callable[..., Plant],
    time_server: Server,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plant = make_plant(seed=18)
    plant.start("n1", "gw")
    port = time_server.port
    plant.release("unix", tmp_path / "2.release", least_s=2, time_port=port)
    deaf = (
        ("links/mqtt.py", b"        if self._tls:\n", b"        raise LinkError('of no use')\n        if self._tls:\n"),
        ("update/run.py", b"_LIMIT_S = const(300)", b"_LIMIT_S = const(9)"),
    )
    plant.release("unix", tmp_path / "3.release", least_s=2, sequence=3, time_port=port, changes=deaf)
    with plant.standing():
        gateway = plant.gateway("unix:", "n1", time_port=port, files=KEY)
        plant.node("unix:", "n1", ble=DUTY, interval_s=5)
    wait_until(lambda: plant.known() == 2, what="all in service")
    ask = Technician(plant, capfd)

    def update(release: str, code: int = 0) -> str:
        return ask("update", str(tmp_path / release), AHEAD, node="gw", code=code)

    assert update("2.release").startswith("gw: runs release 2")
    assert ask("identify", AHEAD, node="gw") == "gw: blinks\n" and lines(gateway, "node: identifies itself")
    assert "did not keep release 3: not online within 9 s; it runs its old firmware" in update("3.release", code=18)
    assert "it runs that release or a later one" in update("2.release", code=18)
    assert plant.told("gw").count("update_confirmed") == plant.told("gw").count("update_rejected") == 1
    count = len(plant.records("n1", "telemetry"))
    wait_until(lambda: len(plant.records("n1", "telemetry")) > count + 2, what="records of its node")
    assert [account.unexplained for account in plant.accounts().values()] == [0, 0]


@pytest.mark.nightly
def test_a_host_that_lies_as_gateway_changes_nothing_and_an_honest_one_updates_the_node(
    make_plant: Callable[..., Plant],
    patience: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    honest = Contents.chunk

    async def lie(self: Contents, node_id: bytes, digest: bytes, number: int) -> bytes | None:
        found = await honest(self, node_id, digest, number)
        return bytes(len(found)) if found and number else found

    monkeypatch.setattr(Contents, "chunk", lie)
    plant = make_plant(seed=17)
    plant.start("n1", "gw")
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite")
    plant.release("unix", tmp_path / "2.release", least_s=2)
    node = plant.node("unix:", "n1", files=KEY, ble=DUTY, interval_s=60)
    wait_until(lambda: plant.known() == 2, what="all in service")
    ask = Technician(plant, capfd)
    assert "did not keep release 2: wrong_content" in ask("update", str(tmp_path / "2.release"), AHEAD, code=18)
    refused = [event for event in plant.records("n1", "event") if EVENTS[event["code"]] == "message_refused"]
    assert [event["subject"] for event in refused] == ["release_wrong_content"]
    assert ask("identify", AHEAD) == "n1: blinks\n" and lines(node, "node: identify")

    monkeypatch.setattr(Contents, "chunk", honest)
    assert ask.json("update", str(tmp_path / "2.release"))["sequence"] == 2
    assert ask("identify", AHEAD) == "n1: blinks\n" and lines(node, "node: identifies itself")
    assert [account.unexplained for account in plant.accounts().values()] == [0, 0]
