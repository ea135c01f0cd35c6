"""Acting at the edge: a machine over temperature is switched off at once, with nobody to tell."""

from collections.abc import Callable
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.relay import Relay
from quaver_wire.fields import EVENTS
from tests.waiting import wait_for_words

from .conftest import Client
from .thermometer import Thermometer

PIN = 3  # is free on all boards
LIMIT_C = 80


@pytest.mark.needs_radio
@pytest.mark.each_chip
@pytest.mark.nightly_on("rp2040:")
def test_a_machine_over_temperature_is_off_within_100_ms_without_the_network(
    start_node: Callable[..., Board], mosquitto: Any, client: Client
) -> None:
    rig = (Attached("tmp117", "i2c0", 0x48, Thermometer(20.0)), Attached("relay", "gpio", PIN, Relay()))
    config = {
        "interval_s": 1,
        "vibration": None,
        "temperature": {"driver": "tmp117"},
        "outputs": {"motor": {"pin": PIN, "normal": "on"}},
        "rules": {"hot": {"feature": "temperature_c", "above": LIMIT_C, "output": "motor", "to": "off"}},
    }
    mosquitto.stop()
    board = start_node(rig, config)
    wait_for_words(board, b"node: rule hot: motor on")
    board.set_sensor("tmp117", temperature=90.0)
    wait_for_words(board, b"node: rule hot: motor off")
    edges = board.sensor("relay", "edges")
    assert [level for _, level in edges] == [True, False]  # safe, which is off, until it was measured
    measured = next(when for when, celsius in board.sensor("tmp117", "reads") if celsius > LIMIT_C)
    assert 0 < edges[1][0] - measured < 100_000_000
    mosquitto.start()

    def told(client: Client, what: str) -> list[dict[str, Any]]:
        acted = EVENTS.index("rule_acted")
        return [one for one in client.of("event") if one["code"] == acted and one["text"].startswith(what)]

    event = client.wait(lambda c: told(c, "motor off"), "what was done, and its cause")[0]
    assert (event["subject"], event["text"]) == ("hot", "motor off: temperature_c above 80")
    assert (event["value"], event["limit"]) == (90.0, LIMIT_C)
