"""`quaver bench ble`: its figures are those of the air's arithmetic, and a rarer radio makes a longer life."""

import json

import pytest

from quaver.bench.ble import Currents, Timing, run_ble
from quaver.cli import main


def test_the_figures_are_what_the_air_allows() -> None:
    figures = {figure.name.strip(): figure for figure in run_ble("unix", lambda said: None, None)}
    assert figures["notifications of 244 bytes at an MTU of 247"].value == pytest.approx(6 * 244 / 0.015, rel=0.02)
    assert figures["records of 120 bytes, each acknowledged"].value == pytest.approx(1 / 0.03, rel=0.1)
    assert figures["records handed over a day"].value == pytest.approx(1440, rel=0.05)
    assert all(figure.note for name, figure in figures.items() if "byte" in name or "battery" in name)


def test_rest_is_what_makes_a_battery_last() -> None:
    from quaver.bench.ble import _hour

    def life(timing: Timing) -> float:
        return {figure.name: figure.value for figure in _hour(timing, Currents())}["battery life"]

    assert life(Timing(rest_s=296, measure_s=300)) > 1.3 * life(Timing())


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "ble", "--json", "--battery-mah", "6000"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["unit"] == "byte/s"
    assert "6000 mAh" in lines[-1]["note"]
