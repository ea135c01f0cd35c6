"""`quaver bench ble`: its figures are those of the air's arithmetic, and a rarer radio makes a longer life."""

import json

import pytest

from quaver.bench.ble import Currents, Timing
from quaver.cli import main


@pytest.mark.nightly
def test_the_figures_are_what_the_air_allows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.bench.ble._NODES", 4)  # a plant of 32 takes its time
    monkeypatch.setattr("quaver.bench.ble._CONNECTIONS_S", 10.0)
    assert main(["bench", "ble", "--json", "--battery-mah", "6000"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    figures = {line["name"].strip(): line for line in lines}
    burst = figures["notifications of 244 bytes at an MTU of 247"]
    assert (burst["value"], burst["unit"]) == (pytest.approx(6 * 244 / 0.015, rel=0.02), "byte/s")
    assert figures["records of 120 bytes, each acknowledged"]["value"] == pytest.approx(1 / 0.03, rel=0.1)
    assert figures["records handed over a day"]["value"] == pytest.approx(1440, rel=0.05)
    assert all(line["note"] for name, line in figures.items() if "byte" in name or "battery" in name)
    assert figures["nodes among them"]["value"] == 4
    assert 0 < figures["greeting, until both have proved the link key"]["value"] <= 60
    assert 0.5 < figures["a peer that proves no link key holds a connection"]["value"] <= 1
    rest, connected, greeting = (
        figures[name]["value"] for name in ("heap that the secret takes at rest", "in a connection", "while greeting")
    )
    assert 0 < rest < connected < greeting
    assert "6000 mAh" in lines[-1]["note"]


def test_rest_is_what_makes_a_battery_last() -> None:
    from quaver.bench.ble import _hour

    def life(timing: Timing, currents: Currents) -> float:
        return {figure.name: figure.value for figure in _hour(timing, currents)}["battery life"]

    rare = Timing(rest_s=296, measure_s=300)
    assert life(rare, Currents(rest_ma=1.3)) > 1.3 * life(Timing(), Currents(rest_ma=1.3))
    assert life(rare, Currents()) < 5.01  # 3,000 mAh at 25 mA: without sleep no rest is long enough
