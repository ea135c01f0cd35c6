"""A node in service meets what happens to nodes: brokers restart, sensors die, configurations have mistakes."""

from collections.abc import Callable
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.tmp117 import TMP117
from quaver_wire.fields import EVENTS, QUALITY
from tests.waiting import wait_for_words

from .conftest import Client, signal

# What is free of ESP-IDF's heap, and its largest piece.
IDF_HEAP = """
import esp32
regions = esp32.idf_heap_info(esp32.HEAP_DATA)
print(sum(each[1] for each in regions), max(each[2] for each in regions))
"""
TEMPERATURE = {"driver": "tmp117", "bus": "i2c0", "address": 0x48}
pytestmark = pytest.mark.needs_radio


def rig() -> tuple[Attached, ...]:
    return (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),
        Attached("tmp117", "i2c0", 0x48, TMP117(21.5)),
    )


def events(client: Client, name: str) -> list[dict[str, Any]]:
    return [event for event in client.of("event") if EVENTS[event["code"]] == name]


@pytest.mark.any_board
def test_a_broker_that_restarts_costs_no_alarm(
    start_node: Callable[..., Board], mosquitto: Any, client: Client
) -> None:
    board = start_node(rig(), {"interval_s": 2, "limits": {"rms": [0.15, 0.25]}})
    client.wait(lambda c: c.of("telemetry"), "a first record")
    mosquitto.stop()
    board.set_sensor("iis3dwb", source=signal("or007_6"))
    wait_for_words(board, b"rms alarm")
    mosquitto.start()
    client.wait(lambda c: [a for a in c.alarms() if a["subject"] == "rms"], "the alarm, after the outage")
    order = [payload["seq"] for topic, payload in client.messages if not topic.endswith("status")]
    alarm = next(a["seq"] for a in client.alarms() if a["subject"] == "rms")
    assert max(order[: order.index(alarm)]) < alarm  # before all that was measured after it


@pytest.mark.any_board
def test_a_dead_sensor_is_an_event_and_a_mark_until_it_lives_again(
    start_node: Callable[..., Board], client: Client
) -> None:
    board = start_node(rig(), {"interval_s": 1, "temperature": TEMPERATURE})
    first = client.wait(lambda c: c.of("telemetry"), "a first record")[0]
    assert first["temperature_c"] == pytest.approx(21.5, abs=0.01)
    board.set_sensor("iis3dwb", fault="absent")
    failed = client.wait(lambda c: events(c, "sensor_failed"), "the failure")
    assert failed[0]["subject"] == "vibration"
    mark = 1 << QUALITY.index("vibration_failed")
    record = client.wait(lambda c: [r for r in c.of("telemetry") if r["quality"] & mark], "a marked record")[0]
    assert "rms_g" not in record
    assert record["temperature_c"] == pytest.approx(21.5, abs=0.01)
    board.set_sensor("iis3dwb", fault=None)
    client.wait(lambda c: events(c, "sensor_recovered"), "the recovery")
    assert len(events(client, "sensor_failed")) == 1


@pytest.mark.any_board
def test_a_stuck_sensor_is_no_healthy_machine(start_node: Callable[..., Board], client: Client) -> None:
    models = rig()
    models[0].model.fault = "stuck"  # type: ignore[union-attr]
    board = start_node(models, {"interval_s": 1})
    failed = client.wait(lambda c: events(c, "sensor_failed"), "the failure")
    assert (failed[0]["subject"], failed[0]["reason"][0]) == ("vibration", 204)
    wait_for_words(board, b"node: vibration: stuck: the same value every time (")
    record = client.wait(lambda c: c.of("telemetry"), "a record")[0]
    assert record["quality"] == 1 << QUALITY.index("stuck") | 1 << QUALITY.index("vibration_failed")
    assert not record.keys() & {"rms_g", "velocity_mm_s", "machine"}  # neither a value, nor a machine that stands
    board.set_sensor("iis3dwb", fault=None)
    wait_for_words(board, b"node: vibration: recovered")
    client.wait(lambda c: not c.of("telemetry")[-1]["quality"], "a record of a sensor that is well")


@pytest.mark.any_board
@pytest.mark.parametrize("sensor", ["vibration", "temperature", "energy"])
def test_a_sensor_on_a_bus_that_the_board_has_not_is_told_and_the_node_runs(
    start_node: Callable[..., Board], client: Client, sensor: str
) -> None:
    wrong = {"vibration": "spi7", "temperature": "i2c7", "energy": "uart7"}[sensor]
    board = start_node(rig(), {"interval_s": 1, sensor: {"bus": wrong}})
    client.wait(lambda c: c.of("telemetry"), "a record")
    (text,) = {event["text"] for event in events(client, "config_invalid")}
    assert text.startswith(f"{sensor}: board {board.board} has no ")
    assert not events(client, "task_restarted")


@pytest.mark.any_board
def test_a_mistake_in_the_configuration_is_told_and_the_node_runs(
    start_node: Callable[..., Board], client: Client
) -> None:
    start_node(rig(), {"interval_s": 1, "vibration": {"samples": 4096, "band_low_hz": -1}, "energy": {"bus": "uart9"}})
    client.wait(lambda c: c.of("telemetry"), "a record")
    texts = {event["text"] for event in events(client, "config_invalid")}
    assert "vibration.band_low_hz: expected float from 0.0 to 40000.0" in texts
    assert any(text.startswith("energy: board") for text in texts)


@pytest.mark.any_board
def test_the_last_will_says_that_the_node_is_gone(start_node: Callable[..., Board], client: Client) -> None:
    board = start_node(rig(), {"interval_s": 1})
    client.wait(lambda c: [s for s in c.of("status") if s["state"] == 1], "the node online")
    board.stop()
    client.wait(lambda c: c.of("status")[-1]["state"] == 0, "the last will")


@pytest.mark.needs_radio
def test_enough_of_the_heap_stays_free(start_node: Callable[..., Board], client: Client) -> None:
    from quaver.board.spec import load_board

    board = start_node(rig(), {"interval_s": 1, "temperature": TEMPERATURE})
    records = client.wait(lambda c: len(c.of("telemetry")) >= 3 and c.of("telemetry"), "records")
    assert any("rms_g" in r for r in records)  # the vibration sensor's part is in it
    spec = load_board(board.board)
    assert min(r["heap_free"] for r in records if "heap_free" in r) >= spec.heap_budget
    if spec.idf_budget:
        free, largest = map(int, board.exec(IDF_HEAP).split())
        assert free >= spec.idf_budget
        assert largest >= spec.idf_piece_budget
