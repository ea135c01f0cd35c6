"""A technician commands a node that only a gateway reaches: `quaver node`, broker, gateway, Bluetooth, and back."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import paho.mqtt.publish as publish
import pytest

from quaver.board.spec import load_board
from quaver.broker.address import BrokerUrl
from quaver.cli import main
from quaver.fleet.operator import Operator, Refused
from quaver.plant.node import SLOW_SENSORS
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

from .plant import NAMES, PLACE, Plant, lines
from .test_time import Server, good

AHEAD = "--expires=2000000"  # virtual time runs ahead of whoever sends the command


@pytest.fixture
def time_server() -> Iterator[Server]:
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    yield server
    server.stop()


class Technician:
    """Calls `quaver node`; what it says, or of a failure its one line."""

    def __init__(self, plant: Plant, capfd: pytest.CaptureFixture[str]) -> None:
        self._plant = plant
        self._capfd = capfd
        self.url = BrokerUrl("127.0.0.1", plant.mosquitto.port)

    def __call__(self, *arguments: str, node: str = "n1", code: int = 0, timeout: float = 120) -> str:
        options = [f"--broker={self.url}", f"--keys={self._plant.keys.folder}", f"--timeout={timeout}"]
        self._capfd.readouterr()
        ended = main(["node", node, *arguments, *options])
        out, err = self._capfd.readouterr()
        assert ended == code, (ended, out, err)
        return out if code == 0 else err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, AHEAD, "--json"))

    def operator(self, expires_s: float) -> Operator:
        self._plant.keys.refresh()
        return Operator(self.url, self._plant.keys, "n1", timeout_s=120, expires_s=expires_s)


# The Pico W has every sensor, for that leaves it the least heap to obey with.
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        pytest.param("unix:", "unix:", marks=pytest.mark.slowest),
        pytest.param("host", "rp2040:", marks=pytest.mark.nightly),
    ],
)
def test_a_technician_commands_a_node_behind_a_gateway(
    kind: str,
    where: str,
    make_plant: Callable[..., Plant],
    time_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    plant = make_plant(seed=12)
    plant.start("n1", "gw")
    if kind == "host":
        plant.host_gateway("n1", file=tmp_path / "gateway.sqlite")
    else:
        plant.gateway(kind, "n1", time_port=time_server.port)
    board = plant.node(
        where,
        "n1",
        interval_s=86400,
        ble={"interval_ms": 100, "window_s": 2, "rest_s": 4, "visit_s": 30},
        **(SLOW_SENSORS if where == "rp2040:" else {}),
    )
    first = wait_until(lambda: plant.records("n1", "telemetry"), what="a first measurement")[0]
    assert first["heap_free"] >= load_board(NAMES[where]).heap_budget
    assert [record["state"] for record in plant.records("n1", "status")] == [2]
    ask = Technician(plant, capfd)

    # The time comes from the gateway: without it the node would refuse.
    overheard: list[bytes] = []
    ear = paho.Client(paho.CallbackAPIVersion.VERSION2)
    ear.on_message = lambda _client, _data, message: overheard.append(bytes(message.payload))
    ear.connect("127.0.0.1", plant.mosquitto.port)
    ear.subscribe(f"{PLACE}/n1/command", qos=1)
    ear.loop_start()
    try:
        assert ask("identify", AHEAD) == "n1: blinks\n"
    finally:
        ear.disconnect()
        ear.loop_stop()
    [command] = overheard
    publish.single(f"{PLACE}/n1/command", command, qos=1, port=plant.mosquitto.port)
    refused = wait_until(
        lambda: [e for e in plant.records("n1", "event") if EVENTS[e["code"]] == "message_refused"],
        what="the refusal",
    )
    assert [(event["subject"], event["count"]) for event in refused] == [("replay", 1)]
    assert len(lines(board, "node: identify")) == 1

    assert ask.json("config", "get")["ble"]["rest_s"] == 4
    measured = ask.json("measure")
    assert measured["level"] == "ok"
    found = ask.json("waveform", "--output=w.npz")
    data = np.load("w.npz")
    assert found["samples"] == len(data["x"]) == 4096
    assert (data["x"] * float(data["g_per_lsb"])).std() == pytest.approx(measured["rms_g"], rel=0.02)

    # While it is away commands wait they expire.
    board.reset(run=False)
    assert "did not answer through its gateway (1 s)" in ask("log", "--expires=600", code=19, timeout=1)
    with ask.operator(0.001) as late, ask.operator(2_000_000) as kept:
        expired = late.send("relearn")
        identity = kept.send("config_validate", {"changes": {"interval_s": 7}})
        board.reset()
        assert kept.answer("config_validate", identity) == {}
        with pytest.raises(Refused, match="after its expiry"):
            late.answer("relearn", expired)

    # A new start, and a configuration on trial, which the next visit keeps.
    boot = ask.json("reboot")["boot"]
    ask("config", "set", "alarm.of=7", AHEAD)
    assert ask("config", "get", "alarm.of", AHEAD) == "7\n"
    assert plant.records("n1", "status")[-1]["state"] == 2 and ask.json("reboot")["boot"] > boot + 1
    assert plant.accounts()["n1"].unexplained == 0
    if kind == "host":
        assert "is a gateway on a Linux machine, and accepts no commands" in ask("identify", node="gw", code=18)
    else:
        assert ask("identify", AHEAD, node="gw") == "gw: blinks\n"
        assert "a gateway takes update, reboot and identify" in ask("measure", AHEAD, node="gw", code=18)
