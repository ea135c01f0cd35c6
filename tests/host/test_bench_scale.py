"""`quaver bench scale`: the figures that docs/scale.md reckons with come from one run of real parts."""

import json

import pytest

from quaver.cli import main


@pytest.mark.nightly
def test_every_part_of_the_way_has_its_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "scale", "--records", "2000", "--json"]) == 0
    figures = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {one["unit"] for one in figures.values()} == {"bytes", "us a message", "us a record", "records/s"}
    assert all(one["value"] > 0 for one in figures.values())
    sizes = [figures[name]["value"] for name in ("a record on the wire, sealed", "a record in SQLite")]
    assert 100 < figures["a record in PostgreSQL"]["value"] < 2000
    assert 60 < sizes[0] < 120 and sizes[0] < sizes[1] < 1000
    assert figures["so many on a core"]["goal"] == 20_000 and figures["so many on a core"]["at_least"]
    sinks = ["bridge to JSON", "bridge to Sparkplug B", "bridge to OPC UA"]
    assert [name for name, one in figures.items() if one["goal"] == 30] == sinks
