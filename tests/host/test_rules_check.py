"""`quaver rules check`: what rules would have done, by the device's own code, over a store and over recordings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fleet import Node
from test_ingest import NOW, Bench

from quaver.build.config import read_config
from quaver.cli.rules import command
from quaver.errors import BuildError, StoreError, WhatIfError
from quaver_wire.fields import EVENTS, QUALITY

MINUTE_MS = 60_000
HOT = {"feature": "temperature_c", "above": 80, "output": "motor", "to": "off"}
OTHERS = {
    "door": {"input": 2, "is": "low", "event": True},
    "warm": {"level": "warning", "of": "temperature", "output": "fan", "to": "on"},
}
CONFIG: dict[str, Any] = {
    "limits": {"temperature": [70, 90]},
    "outputs": {"motor": {"pin": 15, "normal": "on", "min_off_s": 90}, "fan": {"pin": 14}},
    "rules": {"hot": HOT, **OTHERS},
}


@pytest.fixture
def engine() -> str:
    return "sqlite"


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def asked(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["check", *map(str, arguments)])


def test_a_store_tells_when_a_machine_would_have_been_switched_off(bench: Bench, pump: Node, tmp_path: Path) -> None:
    failed = 1 << QUALITY.index("temperature_failed")
    level = EVENTS.index("level")

    def at(minute: float, celsius: float | None, **more: Any) -> None:
        when = {"uptime_ms": round(minute * MINUTE_MS), "time_ms": NOW - 3_600_000 + round(minute * MINUTE_MS)}
        bench.take(pump.says(temperature_c=celsius, **when, **more))

    at(0, 20.0)
    at(1, 20.0)
    bench.take(pump.says("event", code=level, subject="temperature", event_level=1, uptime_ms=110_000))
    at(2, 75.0)
    at(3, 85.0)
    at(4, 60.0)
    at(5, 60.0)
    for minute in range(6, 11):
        at(minute, None, quality=failed)
    result = asked(written(tmp_path, CONFIG), "--store", bench.path, "--node", "pump-7", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    start = found["acts"][0]["at_ms"] - 90_000
    told = [
        (round((act["at_ms"] - start) / MINUTE_MS, 1), act["rule"], act["known"], act["text"]) for act in found["acts"]
    ]
    assert told == [
        (1.5, "hot", True, "motor on: not temperature_c above 80"),  # its minimum time counts from the start
        (2, "warm", True, "fan on: temperature warning"),
        (3, "hot", True, "motor off: temperature_c above 80"),
        (4, "hot", True, "motor off, waits (minimum time): reset by command"),
        (4.5, "hot", True, "motor on: reset by command"),
        (8, "hot", False, "motor off: not known: temperature_c above 80"),
    ]
    assert found["on_ms"] == {"fan": 8 * MINUTE_MS, "motor": 5 * MINUTE_MS}
    assert found["held"] == {"fan": 0, "motor": 2}
    assert (found["left_out"], found["inputs"]) == ([], ["door"])
    shown = asked(written(tmp_path, CONFIG), "--store", bench.path, "--node", "pump-7", "--since", "2026-09-21").stdout
    assert "motor: on for 5 min; held back by its minimum time: 2" in shown
    assert "never true here: door (no record tells an input)" in shown


def test_a_recording_is_one_measurement_after_the_other(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 26667 * 6)
    noise[26667 * 3 :] *= 5
    np.savez(tmp_path / "loud.npz", acceleration_g=noise.astype("f4"), rate_hz=26667)
    loud = {"feature": "rms_g", "above": 0.2, "for_s": 60, "output": "motor", "to": "off"}
    config = {"outputs": {"motor": {"pin": 15, "normal": "on"}}, "rules": {"hot": HOT, "loud": loud}}
    result = asked(written(tmp_path, config), "--recording", tmp_path / "loud.npz")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["0", "s", "loud", "motor", "on:", "not", "rms_g", "above", "0.2"] in [row[:9] for row in rows]
    assert ["3", "min", "loud", "motor", "off:", "rms_g", "above", "0.2"] in [row[:8] for row in rows]
    assert "left out: hot (of a sensor that is not measured here)" in result.stdout


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({"rules": {"hot": {**HOT, "output": "fan"}}}, BuildError, "rules.hot: output: there is no such output"),
        ({}, WhatIfError, "the configuration has no rules"),
        (CONFIG, StoreError, "has no record of a node pump-8"),
    ],
)
def test_what_can_not_be_run_is_one_line(
    bench: Bench, tmp_path: Path, config: dict[str, Any], error: type[Exception], words: str
) -> None:
    result = asked(written(tmp_path, config), "--store", bench.path, "--node", "pump-8")
    assert isinstance(result.exception, error)
    assert words in str(result.exception) and "\n" not in str(result.exception)


def test_one_source_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, CONFIG)
    for options in ((), ("--node", "pump-7"), ("--recording", "a.wav", "--store", tmp_path / "s", "--node", "n")):
        assert asked(path, *options).exit_code == 2


def test_a_build_holds_the_pins_against_its_board(tmp_path: Path) -> None:
    path = written(tmp_path, {**CONFIG, "outputs": {**CONFIG["outputs"], "fan": {"pin": 24}}})
    assert read_config(path)
    with pytest.raises(BuildError, match=r"outputs\.fan: pin: GPIO 24 is none that rules may use on pico_w"):
        read_config(path, "pico_w")
