"""Nodes that only a gateway reaches take a release: over Bluetooth, chunk by chunk, each read from the broker once."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest

from quaver.board.spec import load_board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.build.tree import with_packs, without_packs
from quaver.cli import main
from quaver.fleet.operator import Operator
from quaver.fleet.procedures import _take
from quaver.release import bundle
from quaver.release.publish import chunks_of
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

from .plant import Plant, lines
from .test_gateway_commands import Technician, time_server  # noqa: F401
from .test_time import Server
from .test_update import IDENTIFY, KEY, module

DUTY = {"interval_ms": 100, "window_s": 2, "rest_s": 4, "visit_s": 30}
NEW = ("node: identify", "node: identifies itself")


@pytest.fixture
def released(
    mosquitto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Mapping[str, bytes]], bundle.Release]:
    """Builds a release for a board, of the firmware there is with some files changed, and publishes it."""
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))

    def release(board: str, changed: Mapping[str, bytes]) -> bundle.Release:
        files = with_packs({**without_packs(firmware_files(board)), **changed}, load_board(board))
        monkeypatch.setattr(bundle, "firmware_files", lambda _: files)
        built = bundle.build_release([board], 2, expires=int(time.time()) + 10_000_000, key=KEY)
        (tmp_path / "2.release").write_bytes(built.encode())
        arguments = [f"--broker=mqtt://127.0.0.1:{mosquitto.port}", "--site=plant"]
        assert main(["release", "publish", str(tmp_path / "2.release"), *arguments]) == 0
        return built

    return release


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time stands still while the gateway of this machine waits for a broker, which keeps no such time."""
    wrap = asyncio.wrap_future

    def waited(future: concurrent.futures.Future[Any]) -> asyncio.Future[Any]:
        concurrent.futures.wait([future], 5)
        return wrap(future)

    monkeypatch.setattr("quaver.gateway.forward.asyncio.wrap_future", waited)


def told(plant: Plant, name: str) -> list[str]:
    return [EVENTS[event["code"]] for event in plant.records(name, "event")]


@pytest.mark.parametrize("kind", ["unix:", "host"])
def test_nodes_behind_a_gateway_update_over_power_cuts_and_the_broker_is_read_once(
    kind: str,
    make_plant: Callable[..., Plant],
    released: Callable[..., bundle.Release],
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
    nodes = [plant.node("unix:", name, files={"release.key": KEY.public.xy}, ble=DUTY) for name in ("n1", "n2")]
    release = released("unix", {IDENTIFY: module(IDENTIFY, lambda source: source.replace(*NEW))})
    wait_until(lambda: plant.known() == 3, what="all in service")
    ask = Technician(plant, capfd)
    assert ask.json("update", str(tmp_path / "2.release"))["sequence"] == 2
    assert ask("identify", "--expires=2000000") == "n1: blinks\n"
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
        wait_until(lambda: "update_confirmed" in told(plant, "n2"), what="the second node's new firmware")
    assert [account.unexplained for account in plant.accounts().values()] == [0, 0, 0]
