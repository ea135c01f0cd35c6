"""The way of a record from a node over Bluetooth through a gateway to a broker and into a store, sealed all the way."""

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import paho.mqtt.client as paho
import pytest

from quaver.boards import load_board
from quaver.broker import BrokerUrl
from quaver.build import firmware_files
from quaver.emulator.board import Board, Setup, open_board
from quaver.emulator.bus import Attached
from quaver.emulator.clock import Clock
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.gateway import health
from quaver.gateway.collector import Radio
from quaver.gateway.run import gateway
from quaver.gateway.spool import Spool
from quaver.ingest.ledger import Account, ledger
from quaver.ingest.run import ingest
from quaver.ingest.store import Store
from quaver.keys import KeyStore
from quaver_wire.fields import EVENTS

from .conftest import signal
from .test_bluetooth_link import firmware
from .test_bluetooth_peers import BadNode, flood_with_chunks, notify_garbage, stay_silent

BRANCH = {"site": "plant", "area": "hall", "line": "line1", "asset": "motor1"}
PLACE = "plant/hall/line1/motor1"
NAMES = {"unix:": "unix", "rp2040:": "pico_w"}
HOSTS = {"unix:": "127.0.0.1", "rp2040:": "10.0.0.1"}
PATIENCE_S = 240.0


def until(wanted: Callable[[], Any], what: str) -> Any:
    """What `wanted` returns once it is true; fails the test when it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := wanted()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)  # a poll, bounded by the deadline; a console and a store have no event to wait for
    return found


class Plant:
    """Nodes and gateways in one air, one broker, and an ingest that has the keys of them all."""

    def __init__(self, air: Air, mosquitto: Any, folder: FilePath, stack: ExitStack) -> None:
        self.air = air
        self.boards: dict[str, Board] = {}
        self._stack = stack
        self._mosquitto = mosquitto
        self._path = folder / "records.sqlite"
        self._keys = KeyStore(folder / "keys")
        self._stopping = False
        self._device: Any = None
        self.said: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._ingest, daemon=True)

    def start(self, *names: str) -> None:
        """Enrol the nodes and gateways of these names, and take in what they will send."""
        for name in names:
            self._keys.create(Identity.of(name).unique_id, name)
        self._thread.start()
        assert self._ready.wait(10)
        self._stack.callback(self._stop)
        self.store = self._stack.enter_context(Store(self._path, write=False))

    def _ingest(self) -> None:
        with Store(self._path) as store:
            for _ in ingest(BrokerUrl("127.0.0.1", self._mosquitto.port), store, self._keys, say=self.said.append):
                self._ready.set()
                if self._stopping:
                    return

    def _stop(self) -> None:
        self._stopping = True
        self._thread.join(20)

    def _open(
        self,
        where: str,
        name: str,
        config: dict[str, Any],
        rig: tuple[Attached, ...] = (),
        key: bytes | None = None,
    ) -> Board:
        files = firmware_files(NAMES[where], {**BRANCH, "node": name, "watchdog_s": 0, **config})
        known = self._keys.get(Identity.of(name).unique_id)
        if known is not None:
            [(generation, right)] = known.keys.items()
            files["device.key"] = json.dumps({"generation": generation, "key": (key or right).hex()}).encode()
        port = self._mosquitto.port if "broker" in config else None
        setup = Setup(files=files, rig=rig, air=self.air, name=name, broker_port=port)
        self.boards[name] = self._stack.enter_context(open_board(where, setup))
        return self.boards[name]

    def gateway(self, where: str, *nodes: str, interval_s: int = 30) -> Board:
        listed = {Identity.of(node).unique_id.hex(): f"{PLACE}/{node}" for node in nodes}
        config = {
            "role": "gateway",
            "interval_s": interval_s,
            "wifi": {"ssid": "quaver", "password": "emulated"},
            "broker": {"host": HOSTS[where], "port": 1883},
            "gateway": {"nodes": listed},
        }
        return self._open(where, "gw", config)

    def host_gateway(self, *nodes: str, file: FilePath) -> Callable[[], None]:
        """The gateway of this machine, its Bluetooth in the air; what it returns ends it."""
        places = {Identity.of(node).unique_id: f"{PLACE}/{node}" for node in nodes}
        [key] = [known for known in self._keys.nodes() if known.name == "gw"]
        who = health.Identity(key.node_id, f"{PLACE}/gw", key.generation, key.keys[key.generation])
        broker = BrokerUrl("127.0.0.1", self._mosquitto.port)
        tasks: list[asyncio.Task[None]] = []
        if self._device is None:
            self._device = self.air.device("host gateway", bytes.fromhex("280102030405"))
        radio = Radio(*backends(self._device))

        async def run() -> None:
            with Spool(file) as spool, contextlib.suppress(asyncio.CancelledError):
                tasks.append(asyncio.current_task())
                await gateway(broker, places, spool, self.said.append, identity=who, radio=radio)

        done = self.air.start(run())

        def stop() -> None:
            self.air.post(lambda: tasks[0].cancel())
            done.result(20)

        ended = self._stack.enter_context(ExitStack())
        ended.callback(stop)
        return ended.close

    def node(self, where: str, name: str, key: bytes | None = None, **config: Any) -> Board:
        """key: sealed with it, whatever the store holds."""
        whole = {
            "link": "ble",
            "ble": {"interval_ms": 200, "window_s": 10, "rest_s": 20},
            "temperature": None,
            "energy": None,
            "vibration": {"samples": 4096},
            "interval_s": 2,
            **config,
        }
        rig = (Attached("iis3dwb", "spi0", 17, IIS3DWB(signal("normal"))),) if whole["vibration"] else ()
        return self._open(where, name, whole, rig, key)

    def records(self, name: str, leaf: str) -> list[dict[str, Any]]:
        """What of a node is in the store."""
        rows = self.store.query(
            "SELECT body, uptime_ms FROM record JOIN node ON node.number = record.node "
            "WHERE id = ? AND class = ? ORDER BY arrival",
            (Identity.of(name).unique_id, leaf),
        )
        return [{**json.loads(body), "uptime_ms": uptime_ms} for body, uptime_ms in rows]

    def alarms(self, name: str) -> list[dict[str, Any]]:
        return [e for e in self.records(name, "event") if (e.get("code"), e.get("event_level")) == (1, 2)]

    def count(self) -> int:
        return int(self.store.query("SELECT sum(received) FROM node", ())[0][0] or 0)

    def accounts(self) -> dict[str, Account]:
        return {account.topic.rpartition("/")[2]: account for account in ledger(self.store)[0]}


@pytest.fixture
def make_plant(mosquitto: Any, tmp_path: FilePath) -> Iterator[Callable[..., Plant]]:
    with ExitStack() as stack:
        plants: list[Plant] = []

        def make(seed: int, path: Path | None = None, clock: Clock | None = None) -> Plant:
            plants.append(Plant(stack.enter_context(Air(clock, seed=seed, path=path)), mosquitto, tmp_path, stack))
            return plants[-1]

        yield make
        for plant in plants:  # pytest shows it under a test that failed
            for name, board in plant.boards.items():
                print(f"{name}:\n{board.console().decode()[-2000:]}")


def test_an_alarm_goes_from_the_node_through_the_gateway_into_the_store(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(seed=6, clock=Clock(real_time=True))  # broker and store keep no other
    plant.start("n1", "gw")
    plant.gateway("unix:", "n1")
    node = plant.node("unix:", "n1", limits={"rms": [0.15, 0.25]}, interval_s=0.5)
    until(lambda: plant.records("n1", "telemetry"), "a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    alarm = until(lambda: plant.alarms("n1"), "the alarm")[0]
    assert node.virtual_time_ns() / 1e6 - alarm["uptime_ms"] < 5000
    account = plant.accounts()["n1"]
    assert (account.topic, account.unexplained) == (f"{PLACE}/n1", 0)


def test_a_pico_w_beside_a_unix_board_hands_its_alarm_to_a_pico_w(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(seed=6)
    plant.start("n1", "n2", "gw")
    plant.gateway("rp2040:", "n1", "n2", interval_s=2)
    brief = {"interval_s": 2, "alarm": {"count": 1, "of": 1}}  # each virtual second takes eight
    node = plant.node("rp2040:", "n1", limits={"rms": [0.15, 0.25]}, **brief)
    plant.node("unix:", "n2", vibration=None)
    until(lambda: plant.records("n1", "telemetry"), "a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    alarm = until(lambda: plant.alarms("n1"), "the alarm")[0]
    seconds = node.virtual_time_ns() / 1e9 - alarm["uptime_ms"] / 1000  # and what the Pico W took to boot
    assert seconds < 5
    assert plant.records("n2", "telemetry")
    assert {account.unexplained for account in plant.accounts().values()} == {0}
    record = until(lambda: plant.records("gw", "telemetry"), "the gateway's health")[0]
    assert record["heap_free"] >= load_board("pico_w").heap_budget


def test_the_gateway_of_a_host_hands_on_an_alarm_in_time(make_plant: Callable[..., Plant], tmp_path: FilePath) -> None:
    plant = make_plant(seed=8, clock=Clock(real_time=True))  # paho and SQLite keep no other
    plant.start("n1", "gw")
    node = plant.node("unix:", "n1", limits={"rms": [0.15, 0.25]}, interval_s=0.5)
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite")
    until(lambda: plant.records("n1", "telemetry"), "a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    alarm = until(lambda: plant.alarms("n1"), "the alarm")[0]
    assert node.virtual_time_ns() / 1e6 - alarm["uptime_ms"] < 5000
    assert plant.accounts()["n1"].unexplained == 0


def test_the_gateway_of_a_host_misses_nothing_over_an_outage_and_a_restart(
    make_plant: Callable[..., Plant], mosquitto: Any, tmp_path: FilePath
) -> None:
    names = ("n1", "n2", "n3")
    plant = make_plant(seed=9, path=Path(loss=0.2))
    plant.start(*names, "gw")
    file = tmp_path / "gateway.sqlite"
    stop = plant.host_gateway(*names, file=file)
    timing = {"interval_ms": 500, "window_s": 5, "rest_s": 20}
    for name in names:
        plant.node("unix:", name, interval_s=2, vibration=None, ble=timing)

    def visits() -> int:
        return sum(" records, " in line for line in plant.said)

    until(lambda: plant.count() >= 100, "a first part of the records")
    mosquitto.stop()
    before = visits()
    until(lambda: visits() >= before + 4, "visits without a broker")
    stop()
    stop = plant.host_gateway(*names, file=file)
    until(lambda: visits() >= before + 8, "visits after the restart")
    mosquitto.start()
    until(lambda: plant.count() >= 600, "600 records")
    accounts = plant.accounts()
    assert {name: account.unexplained for name, account in accounts.items()} == dict.fromkeys((*names, "gw"), 0)
    record = plant.records("gw", "telemetry")[-1]
    assert record["nodes"] == record["nodes_heard"] == len(record["visit_ages_s"]) == 3 and record["relayed"] > 0


def lines(board: Board, *starts: str) -> list[str]:
    return [line for line in board.console().decode().splitlines() if line.startswith(starts)]


def test_hostile_peers_cost_the_others_no_more_than_a_visit_and_are_told(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(seed=7)
    plant.start("n1", "n2", "gw", "stranger", "forger")
    behaviours = {"silent": stay_silent, "garbage": notify_garbage, "flood": flood_with_chunks, "replay": None}
    for number, (name, behave) in enumerate(behaviours.items()):
        # A replayed advertisement is that of a node which is there, with an alarm, from somewhere else.
        node_id = Identity.of("n1" if behave is None else name).unique_id
        bad = BadNode(plant.air, behave, name, bytes.fromhex("2801020305") + bytes((number,)), node_id)
        plant.air.run(bad.advertise(again=True))
    always = {"vibration": None, "interval_s": 2, "ble": {"interval_ms": 200, "window_s": 60, "rest_s": 0}}
    for name in ("n1", "n2", "stranger"):
        plant.node("unix:", name, **always)
    plant.node("unix:", "forger", key=bytes(32), **always)
    gateway = plant.gateway("unix:", "n1", "n2", "forger", "silent", "garbage", "flood")
    until(lambda: len(plant.records("gw", "telemetry")) >= 3, "three health records")
    visits = ["gave" in line for line in lines(gateway, "gateway: ") if re.match("gateway: [0-9a-f]{16}", line)]
    once = visits.index(True)
    assert visits.count(False) >= 4 and not any(a is b is False for a, b in pairwise(visits[once:]))
    for name in ("n1", "n2"):
        assert len(plant.records(name, "telemetry")) > 30 and plant.accounts()[name].unexplained == 0
    told = {(e["subject"], e["text"]) for e in plant.records("gw", "event") if EVENTS[e["code"]] == "message_refused"}
    assert ("unknown_node", Identity.of("stranger").unique_id.hex()) in told
    assert {why for why, _ in told} == {"unknown_node", "silent", "protocol"}
    assert plant.records("stranger", "telemetry") == []
    # Sealed with a key that is none of that node's, it passes the gateway, which has no keys, and no further.
    [forged] = [s.refused for s in ledger(plant.store)[1] if s.id == Identity.of("forger").unique_id.hex()]
    assert set(forged) == {"wrong_key"} and forged["wrong_key"] > 30


def test_a_plant_of_32_nodes_misses_nothing_over_loss_an_outage_and_a_power_cut(
    make_plant: Callable[..., Plant], mosquitto: Any
) -> None:
    names = [f"n{number}" for number in range(32)]
    plant = make_plant(seed=20, path=Path(loss=0.2))
    plant.start(*names, "gw")
    gateway = plant.gateway("unix:", *names)
    timing = {"interval_ms": 250, "window_s": 6, "rest_s": 20}
    for name in names:
        plant.node("unix:", name, interval_s=1, vibration=None, ble=timing)

    def visits() -> int:
        return gateway.console().count(b" gave ")

    until(lambda: plant.count() >= 300, "a first part of the records")
    mosquitto.stop()
    before = visits()
    until(lambda: visits() >= before + 6, "visits without a broker")
    gateway.reset()
    until(lambda: visits() >= before + 12, "visits after the power cut")
    mosquitto.start()
    until(lambda: plant.count() >= 2000 and len(plant.accounts()) == 33, "2,000 records, and some of each node")
    accounts = plant.accounts()
    del accounts["gw"]
    assert {name: account.unexplained for name, account in accounts.items() if account.unexplained} == {}


def test_a_command_waits_on_the_gateway_over_a_power_cut_and_its_answer_comes_up(
    make_plant: Callable[..., Plant], mosquitto: Any
) -> None:
    plant = make_plant(seed=9)
    plant.start("gw")
    gateway = plant.gateway("unix:", "n1", interval_s=1)
    until(lambda: lines(gateway, "gateway: online"), "the gateway online")
    answered: list[bytes] = []
    commander = paho.Client(paho.CallbackAPIVersion.VERSION2)
    commander.on_message = lambda _client, _data, message: answered.append(message.payload)
    commander.connect("127.0.0.1", mosquitto.port)
    commander.subscribe(f"{PLACE}/n1/answer", qos=1)
    commander.loop_start()
    try:
        commander.publish(f"{PLACE}/n1/command", b"sealed, as far as anybody here knows", qos=1)
        until(lambda: lines(gateway, "gateway: command for"), "the command at the gateway")
        # Told to the broker behind the command's acknowledgement; without that the command would come once more.
        until(lambda: [r for r in plant.records("gw", "telemetry") if r["commands_waiting"]], "its health record")
        gateway.reset()
        timing = {"interval_ms": 200, "window_s": 60, "rest_s": 1, "visit_s": 30}
        node_id = Identity.of("n1").unique_id
        files = firmware("unix", "ble_node.py", hex=node_id.hex(), records=1, size=60, timing=timing, alarm_ms=0)
        with open_board("unix:", Setup(files=files, air=plant.air, name="n1")) as node:
            until(lambda: answered, "the answer")
            until(lambda: len(lines(gateway, f"gateway: {node_id.hex()} gave")) >= 1, "the visit's end")
            assert lines(node, "command") == ["command b'sealed, as far as anybody here knows'"]
        assert answered == [b"dsealed, as far as anybody here knows"]
        assert gateway.exec("import os; print(os.listdir('/commands'))").strip() == "[]"
    finally:
        commander.disconnect()
        commander.loop_stop()
