"""A plant from a file: what is refused, what its machines do, and a run whose every event has its place and reason."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from quaver.cli.plant import _shown, command
from quaver.errors import PlantError
from quaver.plant.faults import drawn
from quaver.plant.judge import Outcome, failed, judge
from quaver.plant.life import Life, Standing
from quaver.plant.pace import Pace
from quaver.plant.report import junit, page
from quaver.plant.said import Said
from quaver.plant.spec import EXAMPLE, Expect, Machine, load_plant
from quaver.plant.world import NodeView, Progress, World
from quaver.store.store import Store
from tests.terminal import Person

MONDAY_6 = datetime(2026, 1, 5, 6, tzinfo=UTC)
SMALL = """
name = "small"
seed = 7
duration = "16m"
[[machine]]
place = "works/hall/line/pump-{n}"
count = 2
[[machine]]
place = "works/hall/line/fan"
wear = { fault = "outer", begins = "8m", fails = "14m", severity = 1.5, exponent = 1.0 }
[[node]]
name = "pump-{n}"
place = "works/hall/line/pump-{n}"
count = 2
learn = 4
[[node]]
name = "fan"
place = "works/hall/line/fan"
learn = 4
loss = 0.1
sensors = ["vibration", "energy"]
[[fault]]
kind = "power_cut"
node = "pump-1"
at = "5m"
lasts = "40s"
[[fault]]
kind = "broker_restart"
at = "7m"
lasts = "30s"
[[fault]]
kind = "ingest_down"
at = "9m"
lasts = "2m"
[[fault]]
kind = "forged"
at = "10m"
[[fault]]
kind = "replay"
node = "pump-2"
at = "12m"
[[fault]]
kind = "wifi_gone"
at = "1m"
by = "6m"
count = 2
lasts = "50s"
[expect]
restarts = 0
"""


ROUGH = """
name = "rough"
seed = 5
duration = "19m"
[[machine]]
place = "works/hall/line/oven-{n}"
count = 4
[[node]]
name = "oven-{n}"
place = "works/hall/line/oven-{n}"
count = 4
sensors = ["temperature"]
[[fault]]
kind = "brownout"
node = "oven-1"
at = "3m"
lasts = "20s"
[[fault]]
kind = "wifi_gone"
node = "oven-2"
at = "3m"
lasts = "7m"
[[fault]]
kind = "flash_cut"
node = "oven-2"
at = "4m"
operation = 2
torn = true
[[fault]]
kind = "drift"
node = "oven-1"
sensor = "temperature"
at = "5m"
lasts = "10m"
drift = 1.0
[[fault]]
kind = "retire"
node = "oven-3"
at = "6m"
[[fault]]
kind = "full_disk"
at = "8m"
lasts = "3m"
[[fault]]
kind = "clock"
at = "11m"
lasts = "3m"
jump = "30m"
[[fault]]
kind = "power_cut"
node = "oven-4"
at = "12m"
lasts = "5s"
[[fault]]
kind = "clock"
of = "ingest"
at = "15m"
lasts = "2m"
jump = "-20m"
[expect]
restarts = 0
"""

AIR = """
name = "air"
seed = 3
duration = "170s"
[[machine]]
place = "works/hall/line/oven-{n}"
count = 2
[[gateway]]
name = "gw"
place = "works/hall/line/office"
interval = "30s"
[[gateway]]
name = "other"
place = "works/hall/line/store"
interval = "30s"
[[node]]
name = "oven-1"
place = "works/hall/line/oven-1"
gateway = "gw"
interval = "10s"
sensors = ["temperature"]
[[node]]
name = "oven-2"
place = "works/hall/line/oven-2"
gateway = ["gw", "other"]
interval = "10s"
loss = 0.1
sensors = ["temperature"]
[[fault]]
kind = "out_of_range"
node = "oven-2"
at = "20s"
lasts = "50s"
[[fault]]
kind = "gateway_dies"
node = "gw"
at = "80s"
lasts = "60s"
[expect]
restarts = 0
"""


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def changed(path: Path, old: str, new: str) -> str:
    """What is said of the file with one thing changed."""
    assert old in SMALL
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(PlantError) as refused:
        load_plant(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('duration = "16m"', "duration = 16", ["duration: expected a time with its unit", "found 16"]),
        ('name = "fan"', 'name = "f/n"', ["expected 1 to 24 of the characters"]),
        ('place = "works/hall/line/fan"\nwear', 'place = "works/fan"\nwear', ["expected", "site/area/line/asset"]),
        ('name = "fan"', 'name = "pump-1"', ["node pump-1: the name stands twice"]),
        ('place = "works/hall/line/fan"\nlearn', 'place = "works/hall/line/x"\nlearn', ["no machine has the place"]),
        ('fails = "14m"', 'fails = "7m"', ["machine.1.wear", "`fails` has to come after `begins`"]),
        ('fault = "outer"', 'fault = "cage"', ["machine.1.wear.fault", "'outer'", "found 'cage'"]),
        ('kind = "power_cut"\nnode = "pump-1"', 'kind = "power_cut"', ["fault.0: power_cut is of a node"]),
        ('node = "pump-2"', 'node = "pump-9"', ["no node has the name 'pump-9'"]),
        ('at = "12m"', 'at = "20m"', ["replay: it comes after the end"]),
        ("loss = 0.1", "lost = 0.1", ["node.1.lost: extra inputs are not permitted"]),
        ("seed = 7", "seed = seven", ["is no TOML"]),
        ('at = "12m"', 'at = "12m"\njump = "5m"', ["replay has no `jump`", "expected only with kind = 'clock'"]),
        ('kind = "forged"', 'kind = "clock"\njump = "0s"', ["`jump` is 0", 'such as "10m" or "-10m"']),
        ('kind = "forged"', 'kind = "clock"\njump = "-x"', ["fault.3.jump: expected a time with its unit"]),
        ('kind = "forged"', 'kind = "clock"\nof = "sun"', ["fault.3.of", "'time_server' or 'ingest'"]),
        ('kind = "replay"', 'kind = "drift"\ndrift = -1', ["fault.4.drift", "greater than -1"]),
        (
            'kind = "replay"',
            'kind = "drift"\nsensor = "energy"',
            ["node with the sensor 'energy', which pump-2"],
        ),
        ('kind = "replay"', 'kind = "flash_cut"\noperation = -1', ["fault.4.operation", "greater than or equal to 0"]),
        ('kind = "replay"', 'kind = "flash_cut"\ntorn = "half"', ["fault.4.torn", "boolean"]),
        ('kind = "forged"', 'kind = "gateway_dies"\nby = "12m"', ["gateway_dies: the plant has no gateway"]),
        ('kind = "replay"', 'kind = "out_of_range"', ["expected a node with a `gateway`, which pump-2 is not"]),
        ('name = "fan"', 'name = "fan"\ngateway = "gw"', ["node fan: no gateway has the name 'gw'"]),
        ('name = "fan"', 'name = "fan"\ngateway = [7]', ["node.1.gateway.0", "valid string", "found 7"]),
        ('name = "fan"', 'name = "fan"\nboard = "stm32"', ["node.1.board", "'unix', 'pico_w' or 'esp32_c3'"]),
        (
            "[expect]",
            '[[gateway]]\nname = "gw"\nplace = "a/b/c/d"\nboard = "pico_w"\n[expect]',
            ["gateway.0.board: input should be 'unix', found 'pico_w'"],
        ),
        ('kind = "forged"', 'kind = "retire"', ["retire is of a node: name it with `node`"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(
    plant: Path, old: str, new: str, words: list[str]
) -> None:
    message = changed(plant, old, new)
    assert all(word in message for word in words), message


def test_a_file_that_is_no_text_is_told(plant: Path) -> None:
    plant.write_bytes(b"\xf4\x00plant")
    with pytest.raises(PlantError, match="is no TOML"):
        load_plant(plant)


def test_the_example_is_a_plant() -> None:
    found = load_plant(EXAMPLE)
    assert [node.name for node in found.nodes()] == ["pump-1", "pump-2", "fan", "mill", "oven"]
    assert len(drawn(found)) == 14


def test_what_is_drawn_depends_on_the_seed_alone(plant: Path) -> None:
    found = load_plant(plant)
    other = found.model_copy(update={"seed": 8})
    assert drawn(found) == drawn(load_plant(plant)) != drawn(other)
    assert [one.at for one in drawn(found)] == sorted(one.at for one in drawn(found))


def machine(**settings: Any) -> Life:
    return Life(Machine.model_validate({"place": "a/b/c/d", **settings}), MONDAY_6, seed=3)


def test_a_machine_keeps_its_shifts() -> None:
    shifts = [{"begins": "06:00", "ends": "14:00", "days": ["mon"]}, {"begins": "22:00", "ends": "02:00", "load": 0.5}]
    life = machine(speed=1000, shifts=shifts, idle_w=100, power_w=1100)
    hours = [0, 7.9, 8.1, 16, 19.9, 20.1, 24]  # from Monday, 6:00
    assert [life.runs(3600 * hour) for hour in hours] == [
        (1000, 1.0), (1000, 1.0), (0, 0), (1000, 0.5), (1000, 0.5), (0, 0), (0, 0),
    ]  # fmt: skip
    assert [life.watts(3600 * hour) for hour in (0, 9, 16)] == [1100, 100, 600]
    assert isinstance(life.at(9 * 3600), Standing)
    assert np.abs(life.at(9 * 3600).samples(0, 1000.0, 0, 500)).max() < 0.02


def test_it_warms_and_wears() -> None:
    life = machine(wear={"fault": "inner", "begins": "1h", "fails": "3h", "severity": 0.8}, ambient_c=20, warms_c=30)
    assert [life.severity(3600 * hour) for hour in (0.5, 1, 2, 3, 9)] == [0, 0, pytest.approx(0.2), 0.8, 0.8]
    assert life.celsius(0) == 20
    assert life.celsius(1800) == pytest.approx(20 + 30 * (1 - np.exp(-1)), abs=0.5)
    assert life.celsius(6 * 3600) == pytest.approx(20 + 30 + 20 * 0.8, abs=0.1)
    quiet, worn = (np.abs(life.at(3600 * hour).samples(0, 26667.0, 0, 4096)).max() for hour in (0, 3))
    assert worn > 3 * quiet


def ran(text: str, folder: Path, workers: int) -> Outcome:
    """A plant in so many processes; its records are left in the folder."""
    (folder / "plant.toml").write_text(text)
    plant = load_plant(folder / "plant.toml")
    (folder / "records.sqlite").unlink(missing_ok=True)
    with World(plant, folder, workers) as world:
        world.run()
        outcome = judge(plant, world.store)
    shutil.rmtree(folder / "keys", ignore_errors=True)
    return outcome


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return ran(SMALL, tmp_path_factory.mktemp("plant"), 1)


pytestmark = pytest.mark.timeout(600)


@pytest.mark.long
@pytest.mark.nightly
@pytest.mark.parametrize("text", [SMALL, AIR], ids=["small", "air"])
def test_a_run_is_the_same_again_record_for_record(text: str, tmp_path: Path) -> None:
    """The rough plant, below, shows it daily."""
    one, other = ran(text, tmp_path, 1), ran(text, tmp_path, 2)
    assert one.fingerprint == other.fingerprint
    assert one.as_json() == other.as_json()


@pytest.mark.long
def test_what_was_done_is_explained_and_what_wears_is_told(outcome: Outcome) -> None:
    assert outcome.failed == ()
    [worn] = outcome.detections
    assert worn.place == "works/hall/line/fan"
    assert worn.alarmed is not None
    assert worn.begins < worn.alarmed < 16 * 60
    assert outcome.false_alarms == ()
    accounts = {account.topic.rpartition("/")[2]: account for account in outcome.accounts}
    assert set(accounts) == {"pump-1", "pump-2", "fan"}
    assert sum(account.unexplained for account in outcome.accounts) == 0
    assert accounts["pump-1"].boots == (1, 2)  # its power went
    assert accounts["pump-2"].boots == (1, 1)
    assert accounts["pump-2"].duplicates > 0  # the stranger's, that came within the window of a resend
    assert outcome.refused["wrong_key"] + outcome.refused.get("malformed", 0) > 0
    assert outcome.restarts == {}
    assert outcome.silent == ()


@pytest.mark.long
def test_the_report_shows_all_and_takes_no_name_for_markup(outcome: Outcome) -> None:
    named = replace(outcome, plant=outcome.plant.model_copy(update={"name": "<script>alert(1)</script>"}))
    text = page(named)
    assert "<script>" not in text
    assert "As expected." in text
    for word in ("power cut", "broker restart", "works/hall/line/fan", "pump-2", outcome.fingerprint[:16], "<svg"):
        assert word in text
    cases = ElementTree.fromstring(junit(replace(outcome, silent=("pump-1",), failed=("pump-1: nothing",))))
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["as expected"]
    assert page(named) == text


@pytest.mark.long
def test_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    file = tmp_path / "one.toml"
    assert run(command, ["new", str(file)]).output.startswith(f"{file}: a plant of 5 nodes")
    assert isinstance(run(command, ["new", str(file)]).exception, PlantError)
    file.write_text(
        'duration = "90s"\n[[machine]]\nplace = "a/b/c/d"\n[[node]]\nname = "n"\nplace = "a/b/c/d"\n'
        'sensors = ["temperature"]\ninterval = "20s"\n'
    )
    first = run(command, ["run", str(file), "--json"], standalone_mode=False)
    assert first.return_value == 0, first.output
    result = json.loads(first.stdout)
    assert result["records"] >= 5
    assert result["unexplained"] == 0
    again = run(command, ["report", str(tmp_path / "one"), "--json"], standalone_mode=False)
    assert json.loads(again.stdout) == result
    assert json.loads((tmp_path / "one" / "report.json").read_text()) == result
    suite = ElementTree.parse(tmp_path / "one" / "report.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "0")
    assert "1 nodes" in run(command, ["report", str(tmp_path / "one")]).output
    other = run(
        command, ["run", str(file), "--json", "--seed=9", f"--output={tmp_path / 'nine'}"], standalone_mode=False
    )
    again = run(command, ["report", str(tmp_path / "nine"), "--json"], standalone_mode=False)
    assert json.loads(again.stdout) == json.loads(other.stdout)
    assert json.loads(again.stdout)["seed"] == 9
    assert "is there already" in str(run(command, ["run", str(file)]).exception)
    file.write_text(file.read_text() + "[expect]\nunexplained = 0\n")
    assert isinstance(run(command, ["report", str(tmp_path / "two")]).exception, PlantError)


@pytest.mark.long
def test_a_person_pauses_a_plant_steps_and_lets_it_go_on(tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text(
        'duration = "2m"\nexchange = "10s"\n[[machine]]\nplace = "a/b/c/d"\n[[node]]\nname = "n"\nplace = "a/b/c/d"\n'
        'sensors = ["temperature"]\ninterval = "20s"\n'
    )
    person = Person("plant", "run", str(file), "--speed=1")
    person.until("space: pause", timeout=60)
    person.presses("s")
    person.until(", paused")
    [stood] = re.findall(r"0:0(\d):(\d\d) of 0:02:00, paused", person.seen)[-1:]
    at = 60 * int(stood[0]) + int(stood[1])
    assert at <= 30  # of its time: who sets the pace is not the machine
    for _ in range(3):
        person.presses("s")
        at += 10
        person.until(f"0:{at // 60:02}:{at % 60:02} of 0:02:00, paused")
    assert f"0:{(at + 10) // 60:02}:{(at + 10) % 60:02} of" not in person.seen
    person.presses("m ")
    assert person.ends(timeout=120) == 0
    assert "0 unexplained" in person.seen
    again = CliRunner().invoke(command, ["run", str(file), "--json", f"--output={tmp_path / 'max'}"])
    assert json.loads(again.stdout) == json.loads((tmp_path / "one" / "report.json").read_text())


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "1e9"])
def test_a_speed_is_max_or_a_number(tmp_path: Path, speed: str) -> None:
    refused = CliRunner().invoke(command, ["run", str(tmp_path / "x.toml"), f"--speed={speed}"])
    assert refused.exit_code == 2
    assert f"--speed {speed}: expected max" in refused.output


def test_a_pace_is_kept_and_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of its own: a second is what it waits."""
    clock = [100.0]
    typed: list[str] = []

    def key(wait_s: float) -> str:
        clock[0] += wait_s
        return typed.pop(0) if typed else ""

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    pace = Pace(10.0, key)
    for border in range(0, 105, 5):
        pace.keep(float(border))
    assert clock[0] == pytest.approx(110)
    assert pace.words(100.0) == "10 of 10 s a second"
    typed += ["+", ""]
    pace.keep(105.0)
    pace.keep(145.0)
    assert clock[0] == pytest.approx(110 + 2, abs=0.6)
    typed += [" ", "", "", "-", " "]
    pace.keep(150.0)
    assert (pace.paused, pace.speed) == (False, 10.0)
    before = clock[0]
    pace.keep(200.0)
    assert clock[0] == pytest.approx(before + 5)
    pace.speed = None
    pace.keep(1e6)
    assert clock[0] == pytest.approx(before + 5)


@pytest.mark.long
def test_expectations_that_are_not_met_are_told(outcome: Outcome) -> None:
    [worn] = outcome.detections
    alarm = Said(60.0, "pump-2", "alarm", "rms")
    spoiled = replace(
        outcome,
        plant=outcome.plant.model_copy(update={"expect": Expect(detected_within="10s", restarts=0)}),
        detections=(worn, replace(worn, place="works/hall/line/mill", alarmed=None)),
        false_alarms=(alarm,),
        restarts={"fan": 2},
        silent=("pump-3",),
    )
    told = "; ".join(failed(spoiled))
    for words in (
        "no alarm for the fault of works/hall/line/mill",
        "1 false alarms, expected at most 0",
        "works/hall/line/fan: alarm",
        "2 restarts that nobody made",
        "pump-3: nothing of it has arrived",
    ):
        assert words in told


@pytest.mark.long
@pytest.mark.slowest
def test_power_disk_clock_and_hands_do_their_worst_and_each_is_told(tmp_path: Path) -> None:
    one, other = ran(ROUGH, tmp_path, 1), ran(ROUGH, tmp_path, 2)
    assert one.as_json() == other.as_json()
    assert one.failed == ()
    told = {
        (fault.kind, fault.node or fault.of): answer for fault, answer in zip(one.injected, one.answers, strict=True)
    }
    assert re.match(r"[2-9] x boot", told["brownout", "oven-1"])
    assert told["flash_cut", "oven-2"].startswith("boot")
    assert re.search(r"records late, by up to (4[2-9]|5)\d* s", told["full_disk", ""])
    assert "records dated up to 1800 s ahead" in told["clock", "time_server"]  # by what booted meanwhile
    assert re.fullmatch(r"its last record came \d s after", told["retire", "oven-3"])
    boots = {account.topic.rpartition("/")[2]: account.boots for account in one.accounts}
    assert boots["oven-2"] == boots["oven-4"] == (1, 2)
    with Store(tmp_path / "records.sqlite", write=False) as store:
        rows = store.query(
            "SELECT (time_ms - ?) / 1000, body FROM dated WHERE class = 'telemetry' AND topic LIKE '%oven-1'",
            (MONDAY_6.timestamp() * 1000,),
        )
        shifts = store.query("SELECT DISTINCT offset_ms FROM span")
    assert len(shifts) == 3  # right, set wrong, right again
    warmth = {at: json.loads(body)["temperature_c"] for at, body in rows}
    before, drifted, after = (
        max(value for at, value in warmth.items() if first <= at < last)
        for first, last in ((0, 300), (300, 900), (900, 1200))
    )
    assert drifted > 1.5 * before
    assert after < 1.2 * before + 10


@pytest.mark.long
@pytest.mark.slowest
def test_nodes_on_bluetooth_and_their_gateways_live_in_the_same_time(tmp_path: Path) -> None:
    one = ran(AIR, tmp_path, 2)
    assert one.failed == ()
    assert one.silent == ()
    told = {fault.kind: answer for fault, answer in zip(one.injected, one.answers, strict=True)}
    assert re.search(r"records late, by up to (6|7|8)\d s", told["out_of_range"])
    assert told["gateway_dies"].startswith("boot")
    with Store(tmp_path / "records.sqlite", write=False) as store:
        rows = store.query(
            "SELECT topic, (time_ms - ?) / 1000, (received_ms - time_ms) / 1000 FROM dated WHERE class = 'telemetry'",
            (MONDAY_6.timestamp() * 1000,),
        )
    waits = {
        name: [late for topic, at, late in rows if topic.endswith(name) and 85 < at < 140]
        for name in ("oven-1", "oven-2")
    }
    assert max(waits["oven-1"]) > 45  # its only gateway has no power
    assert len(waits["oven-2"]) > 3
    assert max(waits["oven-2"]) < 35  # the other one fetches what it says
    assert set(one.radio) == {"gw", "other", "oven-1", "oven-2"}
    nodes = [one.radio["oven-1"], one.radio["oven-2"]]
    assert all(0 < tally["radio_s"] < 17 for tally in nodes)  # a tenth of the time at most
    assert one.radio["gw"]["radio_s"] > 85  # it listens while it has power
    assert sum(one.radio[name]["connections"] for name in ("gw", "other")) >= sum(
        tally["connections"] for tally in nodes
    )
    assert min(tally["connections"] for tally in one.radio.values()) > 0
    assert min(one.heap.values()) > 0
    text = page(one)
    assert "<h2>Bluetooth</h2>" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_table_cuts_names_short_and_no_number(width: int) -> None:
    view = NodeView("works/hall/line/fan-of-the-cooling-tower", 12_000, boots=2, named="outer race", seen_s=9_000.0)
    nodes = {"fan-of-the-cooling-tower": view}
    world = SimpleNamespace(plant=SimpleNamespace(name="works", duration=86_400.0))

    def told() -> str:
        console = Console(width=width)
        with console.capture() as capture:
            console.print(_shown(world, Progress(10_000.0, nodes=nodes), Pace(None, lambda _: ""), 24, keys=False))  # type: ignore[arg-type]
        return capture.get()

    assert "mA" not in told()  # of a plant without chips
    nodes["pump-7"] = NodeView("works/hall/line/pump-7", drawn_ma=61.318)
    text = told()
    assert max(map(len, text.splitlines())) <= width
    for word in ("mA", "61.32", "12000", "1000 s", "never", "outer race"):
        assert word in text


@pytest.mark.nightly
def test_chips_live_among_unix_boards_in_the_same_time(tmp_path: Path) -> None:
    """That a run is the same again is shown by tests/host/test_child_turns.py: the boot of a chip is dear."""
    (tmp_path / "plant.toml").write_text(
        'duration = "26s"\n'
        + "".join(
            f'[[machine]]\nplace = "a/b/c/{board}"\n[[node]]\nname = "{board}"\nboard = "{board}"\n'
            f'place = "a/b/c/{board}"\nsensors = ["temperature"]\ninterval = "5s"\n'
            for board in ("unix", "pico_w", "esp32_c3")
        )
        + '[[fault]]\nkind = "power_cut"\nnode = "pico_w"\nat = "9s"\nlasts = "2s"\n'
        '[[fault]]\nkind = "wifi_gone"\nnode = "esp32_c3"\nat = "9s"\nlasts = "3s"\n[expect]\nrestarts = 0\n',
    )
    plant = load_plant(tmp_path / "plant.toml")
    with World(plant, tmp_path, commit_s=20.0) as world:
        world.run()
        drawn = {name: view.drawn_ma for name, view in world.progress.nodes.items()}
        outcome = judge(plant, world.store)
    assert outcome.failed == ()
    boots = {account.topic.rpartition("/")[2]: account.boots for account in outcome.accounts}
    assert boots == {"unix": (1, 1), "pico_w": (1, 2), "esp32_c3": (1, 1)}
    for name, account in ((account.topic.rpartition("/")[2], account) for account in outcome.accounts):
        assert account.received >= 4, name
    assert set(outcome.power) == {"pico_w", "esp32_c3"}  # nobody publishes what a unix board draws
    assert 25 < outcome.power["pico_w"] < 68 and 20 < outcome.power["esp32_c3"] < 84  # between waiting and listening
    assert f"{outcome.power['pico_w']:.2f}" in page(outcome)
    assert drawn == {name: pytest.approx(outcome.power[name], rel=0.5) for name in outcome.power} | {"unix": None}
