"""The way of a record from a node over Bluetooth through a gateway to a broker and into a store, sealed all the way."""

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import paho.mqtt.client as paho
import pytest

from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.emulator.clock import Clock
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Path
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.store.ledger import ledger
from quaver_wire.fields import EVENTS
from tests.waiting import PATIENCE_S, wait_until

from . import heaps
from .conftest import signal
from .plant import PLACE, Plant, lines
from .test_bluetooth_link import firmware
from .test_bluetooth_peers import BadNode, flood_with_chunks, notify_garbage, stay_silent


def test_an_alarm_goes_from_the_node_through_the_gateway_into_the_store(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(seed=6, clock=Clock(real_time=True))  # broker and store keep no other
    plant.start("n1", "gw")
    plant.gateway("unix:", "n1")
    node = plant.node("unix:", "n1", limits={"rms": [0.15, 0.25]}, interval_s=0.5)
    wait_until(lambda: plant.records("n1", "telemetry"), what="a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    wait_until(lambda: plant.alarms("n1"), what="the alarm")
    account = plant.accounts()["n1"]
    assert (account.topic, account.unexplained) == (f"{PLACE}/n1", 0)


@pytest.mark.nightly
def test_a_pico_w_beside_a_unix_board_hands_its_alarm_to_a_pico_w_and_then_to_a_host(
    make_plant: Callable[..., Plant], tmp_path: FilePath
) -> None:
    """One long run, for booting two Pico Ws takes the most of it."""
    plant = make_plant(seed=6)
    plant.start("n1", "n2", "gw", "gw2")
    plant.gateway("rp2040:", "n1", "n2", interval_s=2)
    brief = {"interval_s": 2, "alarm": {"count": 1, "of": 1}}
    node = plant.node("rp2040:", "n1", limits={"rms": [0.15, 0.25]}, **brief)
    plant.node("unix:", "n2", vibration=None)

    def late_s(event: dict[str, Any]) -> float:
        """Since the node made it; and what the Pico W took to boot."""
        return node.virtual_time_ns() / 1e9 - event["uptime_ms"] / 1000

    wait_until(lambda: plant.records("n1", "telemetry"), what="a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    assert late_s(wait_until(lambda: plant.alarms("n1"), what="the alarm")[0]) < 5
    assert plant.records("n2", "telemetry")
    assert {account.unexplained for account in plant.accounts().values()} == {0}
    record = wait_until(lambda: plant.records("gw", "telemetry"), what="the gateway's health")[0]
    assert record["heap_free"] >= load_board("pico_w").heap_budget

    plant.air.set_path("n1", "gw", Path(in_range=False))
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite", name="gw2")
    node.set_sensor("iis3dwb", source=signal("normal"))
    assert late_s(wait_until(lambda: plant.levels("n1", "rms", 0), what="the end of the alarm")[0]) < 5
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    assert late_s(wait_until(lambda: plant.alarms("n1")[1:], what="the alarm through the host's gateway")[0]) < 5
    came = f"{Identity.of('n1').unique_id.hex()}: "
    wait_until(
        lambda: any(line.startswith(came) and " records, " in line for line in plant.said), what="the connection's end"
    )
    assert plant.accounts()["n1"].unexplained == 0


@pytest.mark.nightly
def test_an_esp32_c3_holds_several_nodes_at_once_and_misses_nothing_over_an_outage(
    make_plant: Callable[..., Plant], mosquitto: Any
) -> None:
    names = ("n1", "n2", "n3", "c3")
    plant = make_plant(seed=12, path=Path(loss=0.1))
    plant.start(*names, "gw", esp32=["c3", "gw"])
    gateway = plant.gateway("esp32_c3:", *names, interval_s=10)
    seen = plant.watch_connections("gw")
    plant.node("esp32_c3:", "c3", interval_s=1, vibration=None)
    plant.nodes(names[:3], interval_s=1, vibration=None)
    wait_until(lambda: plant.count() >= 40 and plant.known() == 5, gateway, what="a first part of the records")
    mosquitto.stop()
    collected = gateway.console().count(b" gave ")
    wait_until(lambda: gateway.console().count(b" gave ") >= collected + 4, gateway, what="records without a broker")
    mosquitto.start()
    before = plant.count()
    wait_until(lambda: plant.count() >= before + 120, gateway, what="the records of the outage and more")
    assert 2 <= max(seen) <= 4
    assert {name: account.unexplained for name, account in plant.accounts().items()} == dict.fromkeys((*names, "gw"), 0)
    record = plant.records("gw", "telemetry")[-1]
    assert record["nodes_heard"] == 4 and record["relayed"] > 0
    assert record["heap_free"] >= load_board("esp32_c3").heap_budget
    assert len(lines(gateway, "gateway: quaver ")) == 1 and lines(gateway, "node: collect") == []  # no restart


@pytest.mark.slowest
def test_an_esp32_c3_measures_vibration_behind_a_gateway_and_has_memory_left(make_plant: Callable[..., Plant]) -> None:
    plant = make_plant(seed=15)
    plant.start("c3", "gw", esp32=["c3"])
    plant.gateway("unix:", "c3")
    main = heaps.watched(firmware_files("esp32_c3")["main.py"])
    node = plant.node("esp32_c3:", "c3", files={"main.py": main}, interval_s=5)
    wait_until(lambda: plant.records("c3", "telemetry"), node, what="its first record")
    started = len(heaps.told(node.console()))  # it holds memory until it is built
    wait_until(lambda: len(plant.records("c3", "telemetry")) >= 3, node, what="its records")
    assert all(record["rms_g"] > 0 for record in plant.records("c3", "telemetry"))
    assert {EVENTS[event["code"]] for event in plant.records("c3", "event")} <= {"boot", "learned"}
    assert plant.accounts()["c3"].unexplained == 0
    free = heaps.least(heaps.told(node.console())[started:])
    assert free.python >= 13_000 and free.idf >= 10_000  # what watches them takes 1 kB


@pytest.mark.nightly
def test_an_esp32_c3_with_several_nodes_connected_loses_one_and_then_its_power(
    make_plant: Callable[..., Plant],
) -> None:
    names = ("n1", "n2", "n3")
    plant = make_plant(seed=14)
    plant.start(*names, "gw", esp32=["gw"])
    gateway = plant.gateway("esp32_c3:", *names)
    plant.nodes(names, interval_s=0.5, vibration=None)  # each has more than a moment's worth

    def connected() -> list[str]:
        """The nodes that the gateway is connected to."""
        return [name for name in names if plant.air.run(plant.connections(name))]

    async def leave() -> str:
        """In the air, where nothing happens meanwhile: one of several that are connected goes out of range."""
        while True:
            there = [name for name in names if await plant.connections(name)]
            if len(there) >= 2:
                plant.air.link.set_path(there[0], "gw", Path(in_range=False))
                return there[0]
            await asyncio.sleep(0.01)

    def lose() -> str | None:
        """Which one left in the middle of its records; None when it had said all, and came back."""
        name = plant.air.run(leave(), PATIENCE_S)
        wait_until(lambda: name not in connected(), gateway, what="the end of its connection")
        if b"connection lost" in gateway.console():
            return name
        plant.air.set_path(name, "gw", Path())
        return None

    lost = wait_until(lose, gateway, what="the loss of one of several")
    before = gateway.console().count(b" gave ")
    wait_until(lambda: gateway.console().count(b" gave ") >= before + 2, gateway, what="the others' records")
    plant.air.set_path(lost, "gw", Path())
    wait_until(lambda: len(connected()) >= 2, gateway, what="several connections again")
    gateway.cut_power(3, torn=True)
    wait_until(lambda: len(lines(gateway, "gateway: quaver ")) == 2, gateway, what="its start after the power cut")
    before = plant.count()
    wait_until(lambda: plant.count() >= before + 100 and plant.known() == 4, gateway, what="records of all")
    assert {name: account.unexplained for name, account in plant.accounts().items()} == dict.fromkeys((*names, "gw"), 0)
    assert len(lines(gateway, "gateway: quaver ")) == 2 and lines(gateway, "node: collect") == []


def test_the_gateway_of_a_host_hands_on_an_alarm(make_plant: Callable[..., Plant], tmp_path: FilePath) -> None:
    plant = make_plant(seed=8, clock=Clock(real_time=True))  # paho and SQLite keep no other
    plant.start("n1", "gw")
    node = plant.node("unix:", "n1", limits={"rms": [0.15, 0.25]}, interval_s=0.5)
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite")
    wait_until(lambda: plant.records("n1", "telemetry"), what="a first record")
    node.set_sensor("iis3dwb", source=signal("or007_6"))
    wait_until(lambda: plant.alarms("n1"), what="the alarm")
    assert plant.accounts()["n1"].unexplained == 0


@pytest.mark.slowest
def test_the_gateway_of_a_host_misses_nothing_over_an_outage_and_a_restart(
    make_plant: Callable[..., Plant], mosquitto: Any, tmp_path: FilePath
) -> None:
    names = ("n1", "n2", "n3")
    plant = make_plant(seed=9, path=Path(loss=0.2))
    plant.start(*names, "gw")
    file = tmp_path / "gateway.sqlite"
    timing = {"interval_ms": 500, "window_s": 5, "rest_s": 20}
    with plant.standing():
        for name in names:
            plant.node("unix:", name, interval_s=2, vibration=None, ble=timing)
    stop = plant.host_gateway(*names, file=file)

    def collected() -> int:
        return sum(" records, " in line for line in plant.said)

    wait_until(lambda: plant.count() >= 100, what="a first part of the records")
    mosquitto.stop()
    before = collected()
    wait_until(lambda: collected() >= before + 4, what="connections without a broker")
    stop()
    stop = plant.host_gateway(*names, file=file)
    wait_until(lambda: collected() >= before + 8, what="connections after the restart")
    mosquitto.start()
    wait_until(lambda: plant.count() >= 300, what="the records of the outage and more")
    accounts = plant.accounts()
    assert {name: account.unexplained for name, account in accounts.items()} == dict.fromkeys((*names, "gw"), 0)
    record = plant.records("gw", "telemetry")[-1]
    assert record["nodes"] == record["nodes_heard"] == len(record["visit_ages_s"]) == 3 and record["relayed"] > 0


@pytest.mark.parametrize(
    "kind", [pytest.param("unix:", marks=pytest.mark.nightly), pytest.param("host", marks=pytest.mark.slowest)]
)
def test_hostile_peers_cost_the_others_no_more_than_a_connection_and_are_told(
    kind: str, make_plant: Callable[..., Plant], tmp_path: FilePath
) -> None:
    plant = make_plant(seed=7)
    plant.start("n1", "n2", "gw", "stranger", "forger")
    always = {"vibration": None, "interval_s": 2, "ble": {"interval_ms": 500, "window_s": 60, "rest_s": 0}}
    with plant.standing():
        for name in ("n1", "n2", "stranger"):
            plant.node("unix:", name, **always)
        plant.node("unix:", "forger", key=bytes(32), **always)
    behaviours = {"silent": stay_silent, "garbage": notify_garbage, "flood": flood_with_chunks, "replay": None}
    for number, (name, behave) in enumerate(behaviours.items()):
        # A replayed advertisement is that of a node which is there, with an alarm, from somewhere else.
        node_id = Identity.of("n1" if behave is None else name).unique_id
        bad = BadNode(plant.air, behave, name, bytes.fromhex("2801020305") + bytes((number,)), node_id)
        plant.air.run(bad.advertise(again=True))
    listed = ("n1", "n2", "forger", "silent", "garbage", "flood")
    if kind == "host":
        plant.host_gateway(*listed, file=tmp_path / "gateway.sqlite")
    else:
        gateway = plant.gateway(kind, *listed, interval_s=60)
    wait_until(lambda: len(plant.records("gw", "telemetry")) >= 2, what="two health records")
    said = plant.said if kind == "host" else lines(gateway, "gateway: ")
    told_of = [line for line in said if re.match("(gateway: )?[0-9a-f]{16}(?!: refused)", line)]
    ended = [" gave " in line or " records, " in line for line in told_of]
    once = ended.index(True)
    assert ended.count(False) >= 4 and not any(a is b is False for a, b in pairwise(ended[once:]))
    for name in ("n1", "n2"):
        assert len(plant.records(name, "telemetry")) > 30 and plant.accounts()[name].unexplained == 0
    told = {(e["subject"], e["text"]) for e in plant.records("gw", "event") if EVENTS[e["code"]] == "message_refused"}
    assert ("unknown_node", Identity.of("stranger").unique_id.hex()) in told
    assert {why for why, _ in told} == {"unknown_node", "silent", "protocol", "wrong_link_key"}
    assert plant.records("stranger", "telemetry") == []
    # With a device key that is none of that node's it proves no link key, and nothing of it passes the gateway.
    assert [s.refused for s in ledger(plant.store)[1] if s.id == Identity.of("forger").unique_id.hex()] == []


@pytest.mark.nightly
def test_a_plant_of_32_nodes_misses_nothing_over_loss_an_outage_and_a_power_cut(
    make_plant: Callable[..., Plant], mosquitto: Any
) -> None:
    names = [f"n{number}" for number in range(32)]
    plant = make_plant(seed=20, path=Path(loss=0.2))
    plant.start(*names, "gw")
    gateway = plant.gateway("unix:", *names)
    timing = {"interval_ms": 250, "window_s": 6, "rest_s": 20}
    plant.nodes(names, interval_s=2, vibration=None, ble=timing)

    def collected() -> int:
        return gateway.console().count(b" gave ")

    wait_until(lambda: plant.count() >= 300, what="a first part of the records")
    mosquitto.stop()
    before = collected()
    wait_until(lambda: collected() >= before + 6, what="connections without a broker")
    gateway.reset()
    wait_until(lambda: collected() >= before + 12, what="connections after the power cut")
    mosquitto.start()
    wait_until(lambda: plant.count() >= 2000 and plant.known() == 33, what="2,000 records, and some of each node")
    accounts = plant.accounts()
    del accounts["gw"]
    assert {name: account.unexplained for name, account in accounts.items() if account.unexplained} == {}


def test_a_command_waits_on_the_gateway_over_a_power_cut_and_its_answer_comes_up(
    make_plant: Callable[..., Plant], mosquitto: Any
) -> None:
    plant = make_plant(seed=9)
    plant.start("gw")
    gateway = plant.gateway("unix:", "n1", interval_s=1)
    wait_until(lambda: lines(gateway, "gateway: online"), what="the gateway online")
    answered: list[bytes] = []
    commander = paho.Client(paho.CallbackAPIVersion.VERSION2)
    commander.on_message = lambda _client, _data, message: answered.append(message.payload)
    commander.connect("127.0.0.1", mosquitto.port)
    commander.subscribe(f"{PLACE}/n1/answer", qos=1)
    commander.loop_start()
    try:
        commander.publish(f"{PLACE}/n1/command", b"sealed, as far as anybody here knows", qos=1)
        wait_until(lambda: lines(gateway, "gateway: command for"), what="the command at the gateway")
        # Told to the broker behind the command's acknowledgement; without that the command would come once more.
        wait_until(
            lambda: [r for r in plant.records("gw", "telemetry") if r["commands_waiting"]], what="its health record"
        )
        gateway.reset()
        timing = {"interval_ms": 200, "window_s": 60, "rest_s": 1, "visit_s": 30}
        node_id = Identity.of("n1").unique_id
        files = firmware(
            "unix",
            "ble_node.py",
            hex=node_id.hex(),
            records=1,
            size=60,
            timing=timing,
            alarm_ms=0,
            key=(b"n" * 32).hex(),
        )
        with open_board("unix:", Setup(files=files, air=plant.air, name="n1")) as node:
            wait_until(lambda: answered, what="the answer")
            wait_until(lambda: len(lines(gateway, f"gateway: {node_id.hex()} gave")) >= 1, what="its end")
            assert lines(node, "command") == ["command b'sealed, as far as anybody here knows'"]
        assert answered == [b"dsealed, as far as anybody here knows"]
        assert gateway.exec("import os; print(os.listdir('/commands'))").strip() == "[]"
    finally:
        commander.disconnect()
        commander.loop_stop()
