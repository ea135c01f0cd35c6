"""A machine of two loads: the meter tells them apart, each is learned on its own, and neither is forgotten."""

from collections.abc import Callable
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.sdm120 import SDM120
from quaver_wire.fields import EVENTS

from .conftest import Client, signal

pytestmark = [pytest.mark.needs_radio, pytest.mark.any_board]

CONFIG = {
    "interval_s": 1,
    "vibration": {"samples": 4096},
    "energy": {},
    "machine": {"learn": 2, "classes": {"power_w": [200, 500]}},
}


def test_each_load_is_learned_on_its_own_and_outlives_a_restart(
    start_node: Callable[..., Board], client: Client
) -> None:
    rig = (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),
        Attached("sdm120", "uart1", 0, SDM120(current=4.0)),  # 828 W
    )
    board = start_node(rig, CONFIG)

    def learned() -> list[Any]:
        return [e["subject"] for e in client.of("event") if EVENTS[e["code"]] == "baseline_learned"]

    def measured(what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found: list[dict[str, Any]] = client.wait(lambda c: [r for r in c.of("telemetry") if wanted(r)], what)
        return found[0]

    first = measured("a measurement", lambda r: "class_learned" in r)
    assert (first["class"], first["class_learned"], first["machine"]) == (3, [0, 0, 1], 1)
    assert first["abstained"] == "class 3 is not learned yet: limits alone"
    client.wait(lambda _: learned() == ["class 3"], "the higher load's baseline")
    board.set_sensor("sdm120", current=0.5)
    client.wait(lambda _: learned() == ["class 3", "class 1"], "the lower load's baseline")
    board.set_sensor("sdm120", fault="absent")
    unknown = measured("one without a class", lambda r: r.get("abstained") == "the class is not known: limits alone")
    assert "class" not in unknown
    board.set_sensor("sdm120", fault=None, current=2.0)
    second = measured("the load between", lambda r: r.get("class") == 2)
    assert second["class_learned"] == [2, 1, 2]
    board.set_sensor("sdm120", current=4.0)
    board.reset()
    again = measured("a measurement after the restart", lambda r: r["boot"] == 2 and "class_learned" in r)
    assert again["class_learned"][::2] == [2, 2]
    assert (again["class"], again["machine"]) == (3, 2)
    assert learned()[:2] == ["class 3", "class 1"]
