"""A twin: the plant.toml that mirrors a live plant, and where the live one and its twin disagree."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quaver import __version__
from quaver.cli.plant import command as plant_command
from quaver.fleet.inventory import Entry
from quaver.messages.sealing import Opened
from quaver.plant.island import node_config
from quaver.plant.spec import Plant, load_plant, plant_of
from quaver.plant.world import World
from quaver.store.store import Store
from quaver.twin.device import Device
from quaver.twin.follow import Disagreement, Follower
from quaver.twin.mirror import drift, mirror

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

FAN, PUMP = "works/hall/line/fan", "works/hall/line/pump"
LIVE = plant_of(
    {
        "seed": 7,
        "duration": "36m",
        "machine": [
            {
                "place": FAN,
                "speed": 1200.0,
                "wear": {"fault": "outer", "begins": "8m", "fails": "32m", "severity": 1.5},
            },
            {"place": PUMP, "power_w": 900.0},
        ],
        "node": [
            {"name": "fan", "place": FAN, "learn": 4, "samples": 2048, "config": {"limits": {"peak": [0.5, 1.0]}}},
            {"name": "pump", "place": PUMP, "sensors": ["temperature", "energy"], "interval": "50s"},
        ],
    }
)
HALF_MS = 1_767_592_800_000 + 15 * 60_000  # of the plant's time


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with World(LIVE, tmp_path_factory.mktemp("live"), 2) as world:
        world.run()
        return world.path


@pytest.fixture(scope="module")
def early(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store as it was after 15 minutes."""
    copy = tmp_path_factory.mktemp("early") / "records.sqlite"
    copy.write_bytes(path.read_bytes())
    with Store(copy) as store, store.transaction():
        store.query("DELETE FROM record WHERE received_ms >= ?", (HALF_MS,))
    return copy


def configs() -> dict[str, dict[str, Any]]:
    machines = LIVE.machines()
    return {node.name: node_config(node, machines[node.place]) for node in LIVE.nodes()}


def later(path: Path) -> Iterator[tuple[str, str, Opened]]:
    """What the broker brought after that."""
    with Store(path, write=False) as store:
        rows = store.query(
            "SELECT topic, id, class, boot, seq, body FROM record JOIN node ON node.number = record.node "
            "WHERE received_ms >= ? ORDER BY record.received_ms, boot, seq",
            (HALF_MS,),
        )
    for topic, node_id, message_class, boot, seq, body in rows:
        yield topic, message_class, Opened(node_id, 1, boot, seq, json.loads(body))


def followed(plant: Plant, early: Path, path: Path) -> tuple[Follower, list[Disagreement]]:
    with Device() as device:
        with Store(early, write=False) as store:
            follower = Follower(plant, store, device)
        return follower, [one for message in later(path) for one in follower.take(*message)]


@pytest.mark.slowest
def test_the_mirror_has_what_is_known_and_runs(path: Path, tmp_path: Path) -> None:
    entry = Entry(b"", "x", state="retired")
    with Store(path, write=False) as store, Device() as device:
        made = mirror(store, "twin", [entry], configs(), device)
        less = mirror(store, "twin", [], {}, device)
        twins = made.plant.machines()
        for node in made.plant.nodes():
            assert drift(device, configs()[node.name], node_config(node, twins[node.place])) == {}
    fan, pump = sorted(made.plant.nodes(), key=lambda node: node.name)
    assert (fan.place, fan.samples, fan.learn, fan.interval) == (FAN, 2048, 4, 60)
    assert (pump.sensors, pump.interval) == (("temperature", "energy"), 50)
    assert (twins[FAN].speed, twins[PUMP].power_w) == (1200, pytest.approx(900, rel=0.1))
    assert twins[FAN].wear is None
    assert made.notes == ()
    assert [node.interval for node in less.plant.nodes()] == [60, 50]  # as their statuses have it
    assert len(less.notes) == 2
    file = tmp_path / "twin.toml"
    file.write_text(made.plant.model_copy(update={"duration": 120.0}).as_toml())
    assert "password" not in file.read_text()
    assert load_plant(file).nodes() == made.plant.nodes()
    plant_command.main(["run", str(file), "--json"], standalone_mode=False)
    assert json.loads((tmp_path / "twin" / "report.json").read_text())["silent"] == []


def test_a_plant_and_its_twin_agree(path: Path, early: Path) -> None:
    follower, found = followed(LIVE, early, path)
    assert found == []
    judged, agreed = follower.compared
    assert judged == agreed > 40
    assert all("pump" in note for note in follower.notes)  # it learns nothing


def test_what_differs_is_told(path: Path, early: Path) -> None:
    fan, pump = LIVE.node
    other = LIVE.model_copy(
        update={
            "node": (
                fan.model_copy(update={"config": {"limits": {"peak": [0.5, 9.0]}}}),
                pump.model_copy(update={"name": "pump-2"}),
            )
        }
    )
    _, found = followed(other, early, path)
    assert {(one.node, one.kind) for one in found} == {("fan", "level"), (f"{PUMP}/pump", "stranger")}
    assert "peak alarm" in found[-1].line or "peak alarm" in " ".join(one.line for one in found)
    assert all("told by the node, not by its twin" in one.line for one in found if one.kind == "level")


def test_versions_intervals_restarts_silence_and_configuration(early: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Device() as device, Store(early, write=False) as store:
        follower = Follower(LIVE, store, device)
        prefix = f"{FAN}/fan"

        def says(message_class: str, boot: int = 1, seq: int = 9999, **record: Any) -> list[str]:
            return [one.line for one in follower.take(prefix, message_class, Opened(b"", 1, boot, seq, record))]

        assert says("status", state=1, firmware=__version__, interval_s=60) == []
        assert says("status", state=1, firmware="0.0.9", interval_s=30) == [
            f"runs quaver 0.0.9, its twin {__version__}", "measures every 30 s, its twin every 60 s",
        ]  # fmt: skip
        assert says("event", boot=2, seq=0, code=6) == ["has restarted, boot 2; its twin has not"]
        assert says("event", boot=2, seq=1, code=6) == []
        for message_class, record in (("telemetry", {"nodes": 3}), ("status", {"role": 1}), ("event", {"code": 6})):
            gateway = Opened(b"", 1, 1, 1, record)
            assert list(follower.take("works/hall/line/office/gateway", message_class, gateway)) == []
        own = configs()["fan"]
        assert list(follower.configured("fan", {**own, "wifi": {"password": "*"}})) == []
        changed = {**own, "limits": {"peak": [1, 2]}, "temperature": None}
        assert [one.line for one in follower.configured("fan", changed)] == [
            "limits.peak is [1.0, 2.0], its twin's [0.5, 1.0]",
            'temperature is "off", its twin\'s "on"',
        ]
        assert list(follower.silences()) == []
        now = __import__("time").monotonic() + 170
        monkeypatch.setattr("time.monotonic", lambda: now)
        assert [one.node for one in follower.silences()] == ["pump"]
        assert list(follower.silences()) == []
