"""`quaver bench plant`: the figures of a small case; how fast they are is the machine's matter."""

import pytest

from quaver.bench import plant

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(300)]


def test_the_pace_of_a_plant_and_what_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    small = plant.Case("temperature", 2, {"sensors": ["temperature"], "interval": "10s"}, goal=1.0)
    monkeypatch.setattr(plant, "CASES", (small,))
    monkeypatch.setattr(plant, "MANY", small)
    steps: list[str] = []
    figures = plant.run_plant(2, many=True, step=steps.append)
    assert steps == ["2 nodes: temperature", "2 nodes start"]
    named = {figure.name.strip(): figure for figure in figures[:7]}
    pace, whole = named["2 x temperature: pace on 2 cores"], named["of a core, a node and minute"]
    parts = [named[kind].value for kind in ("node", "host", "ingest")]
    assert pace.reached is not None
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(whole.value, abs=0.2)
    assert pace.value == pytest.approx(2 * 60 / (2 * whole.value / 1000), rel=0.05)  # two cores, two nodes
    assert 1 < named["memory of a node's process"].value < 60
    heard = figures[7]
    assert (heard.name, heard.value, heard.reached) == ("2 nodes that start: heard", 2, True)
