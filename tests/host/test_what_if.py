"""What-if: the answer is what a node with the changed configuration, or firmware, tells of the same machine."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec

from quaver.board.spec import load_board
from quaver.build import compile_mpy, firmware_files
from quaver.build.tree import with_packs, without_packs
from quaver.cli import node as node_command
from quaver.cli.what_if import command
from quaver.emulator.site_broker import Message
from quaver.errors import OperationError, StoreError, WhatIfError
from quaver.files.carried import payload
from quaver.fleet.keys import KeyStore
from quaver.fleet.sealed_command import Commands
from quaver.plant.island import node_config
from quaver.plant.spec import Plant, plant_of
from quaver.plant.world import Progress, World
from quaver.release import bundle
from quaver.release.signing import PrivateKey
from quaver.store.spectra import find_node
from quaver.store.store import Store
from quaver.twin.records import Change, history
from quaver.twin.what_if import Answer, what_if

pytestmark = pytest.mark.timeout(600)

OWN: dict[str, Any] = {"limits": {"peak": [0.5, 1.0], "temperature": [40, 60]}}
CHANGES: dict[str, Any] = {"limits.peak": [0.4, 2.0], "limits.rms": [0.09, 0.3]}
PLACE = "works/hall/line/fan"
KEY = PrivateKey(ec.generate_private_key(ec.SECP256R1()))


def plant(config: dict[str, Any]) -> Plant:
    """A fan that wears; its node loses its power once."""
    return plant_of(
        {
            "seed": 7,
            "duration": "36m",
            "machine": [{"place": PLACE, "wear": {"fault": "outer", "begins": "8m", "fails": "32m", "severity": 1.5}}],
            "node": [{"name": "fan", "place": PLACE, "learn": 4, "config": config}],
            "fault": [{"kind": "power_cut", "node": "fan", "at": "26m", "lasts": "40s"}],
        }
    )


class Technician:
    """Fetches the waveform of the fan's alarm, past the ingest: asked for at 23 min, in parts from 24 min on."""

    def __init__(self, world: World) -> None:
        self.world = world
        node_id = world._ids["fan"]
        store = KeyStore(world.path.parent / "keys")
        self.keys = store.create(node_id, "fan", world._keys.device_keys(node_id)[1])
        self.commands = Commands(store, lambda: world.plant.start.timestamp() + world.progress.time_s)
        self.sent = 0
        self.parts: list[dict[str, int]] = []

    def ask(self, name: str, arguments: dict[str, int]) -> None:
        self.sent += 1
        sealed = self.commands.seal(self.keys, 1, name, arguments, identity=self.sent, expires_s=600)
        self.world._mail[0].append(Message(f"{PLACE}/fan/command", sealed, qos=1))

    def look(self, progress: Progress) -> None:
        """At a border."""
        if progress.time_s == 23 * 60:
            self.ask("alarm_waveform", {"fetched": -1})
        elif progress.time_s == 24 * 60 + 5:
            [(body,)] = self.world.store.query("SELECT body FROM record WHERE class = 'answer'")
            about = json.loads(body)["result"]
            self.parts = [{"at": at, "crc": about["crc"]} for at in range(0, about["size"], about["part"])]
        for part in self.parts[:4]:
            self.ask("waveform_part", part)
        del self.parts[:4]


def ran(folder: Path, config: dict[str, Any], fetch: bool = False) -> Path:
    with World(plant(config), folder, 1) as world:
        if fetch:
            world.run(Technician(world).look)
        else:
            world.run()
        return world.path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("plant"), OWN, fetch=True)


def config() -> dict[str, Any]:
    """The node's config.json."""
    made = plant(OWN)
    return node_config(made.nodes()[0], made.machines()[PLACE])


def asked(path: Path, changes: dict[str, Any], **more: Any) -> Answer:
    with Store(path, write=False) as store:
        return what_if(store, "fan", changes, **{"config": config(), "given": True, **more})


def said(changes: Sequence[Change], but: tuple[str, ...] = ()) -> list[tuple[int, str, int]]:
    return sorted((one.time_ms // 1000, one.feature, one.level) for one in changes if one.feature not in but)


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        (CHANGES, {"limits": {"peak": [0.4, 2.0], "temperature": [40, 60], "rms": [0.09, 0.3]}}),
        (
            {"alarm.count": 1, "limits.temperature": None, "machine.learn": 7},
            {"limits": {"peak": [0.5, 1.0]}, "alarm": {"count": 1}, "machine": {"learn": 7}},
        ),
    ],
)
def test_the_answer_is_what_a_node_so_configured_tells(
    path: Path, tmp_path: Path, changes: dict[str, Any], changed: dict[str, Any]
) -> None:
    answer = asked(path, changes)
    with Store(ran(tmp_path, changed), write=False) as store:  # of another run
        truth = [change for one in history(store, find_node(store, "fan")).measured for change in one.told]
    assert answer.certain
    assert answer.notes == ()
    assert answer.explained > 3
    # A trend divides time to the millisecond, and the other run measured some of them later.
    apart = {*answer.dropped, "trend"}
    assert said(answer.would, apart) == said(truth, apart)
    assert said(answer.would) != said(answer.told)
    assert {one.boot for one in answer.measured} == {1, 2}
    # what is not judged again is as it was where the change has no part in it, and no answer elsewhere
    assert bool(answer.dropped) != (changes is CHANGES)
    assert {"bpfo", "octave", "trend"} >= {*answer.kept, *answer.dropped} > set()


@pytest.mark.long
def test_it_is_not_certain_under_a_configuration_that_is_not_the_nodes(path: Path) -> None:
    other = {**config(), "limits": {}}
    answer = asked(path, {"limits.rms": [0.09, 0.3]}, config=other)
    assert not answer.certain
    assert {one.feature for one, told in answer.unexplained if told} == {"peak", "temperature"}
    less = asked(path, {"limits.rms": [0.09, 0.3]}, config={}, given=False)
    assert not less.certain
    assert any("--config" in note for note in less.notes)


@pytest.mark.long
def test_what_was_learned_before_the_store_began_is_left_as_told(path: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.sqlite"
    late.write_bytes(path.read_bytes())
    with Store(late) as store, store.transaction():
        store.query("DELETE FROM record WHERE boot = 1 AND seq < 4 AND class = 'telemetry'")
    answer = asked(late, CHANGES)
    assert answer.certain
    assert any("can't be learned again" in note for note in answer.notes)
    assert {"rms", "envelope"} <= set(answer.kept)
    with pytest.raises(WhatIfError, match=r"it bears on what fan learned, and .* can't be learned again"):
        asked(late, {"machine.learn": 9})


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limits.velocity": [2.8, 4.5]}, "no record of fan has velocity_mm_s"),
        ({"limits.rms": [3, 2]}, r"the node would refuse it: limits.rms: expected \[warning, alarm\]"),
        ({"limits.speed": [1, 2]}, "the node would refuse it: limits.speed"),
        ({"alarm.of": 99}, "the node would refuse it: alarm.of: expected int from 1 to 15"),
        ({"vibration.samples": 8192}, "a waveform does not tell how"),
        ({"machine.bearing": "6999"}, "the node would refuse it: machine.bearing 6999: not in the library"),
        ({"machine.classes": {"rpm": [1000]}}, "can't be answered"),
        ({"interval_s": 30}, "no level depends on it"),
    ],
)
def test_what_records_cannot_answer_is_refused(path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WhatIfError, match=words) as refused:
        asked(path, changes)
    assert "\n" not in str(refused.value)


@pytest.mark.long
def test_a_waveform_in_the_store_is_measured_again(path: Path, tmp_path: Path) -> None:
    """Of the first alarm: what its record says, and what the device says of it under another configuration."""
    band = {"vibration.band_low_hz": 500, "vibration.band_high_hz": 1500}
    answer = asked(path, band)
    assert (answer.by_records, answer.would, answer.incomplete) == (False, (), 0)
    assert answer.told
    [one] = answer.remeasured
    assert (one.alarm, one.samples, one.of, one.alike) == (True, 4096, 4096, True)
    record = next(measured for measured in answer.measured if measured.time_ms == one.time_ms)
    assert record.level == 2
    for key in ("rms_g", "kurtosis", "envelope_g"):
        assert one.was.features[key] == pytest.approx(record.values[key], rel=0.002)
    assert one.would.features["envelope_g"] != pytest.approx(one.was.features["envelope_g"], rel=0.1)
    assert one.would.features["rms_g"] == one.was.features["rms_g"]
    assert one.was.levels == {"kurtosis": 1, "peak": 1}
    [other] = asked(path, {"limits.peak": [0.1, 0.5]}).remeasured
    assert other.would.levels == {"kurtosis": 1, "peak": 2}
    [named] = asked(path, {"machine.bearing": None}).remeasured
    assert max(named.was.lines, key=lambda line: line[2])[0] == "bpfo"
    assert named.would.lines == []
    late = asked(path, CHANGES, since_ms=one.time_ms + 1)
    assert (late.by_records, late.remeasured) == (True, ())
    with pytest.raises(WhatIfError, match="has no waveform of fan to measure again; quaver node fan waveform --alarm"):
        asked(path, band, since_ms=one.time_ms + 1)
    wrong = asked(path, {**band, "limits.rms": [1, 2]}, config={**config(), "vibration": {"samples": 2048}})
    assert [one.alike for one in wrong.remeasured] == [True]  # what is measured is the waveform, whatever its length
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(path.read_bytes())
    with Store(torn) as store, store.transaction():
        store.query("DELETE FROM record WHERE class = 'answer' AND json_extract(body, '$.result.at') = 960")
    part = asked(torn, CHANGES)
    assert (part.remeasured, part.incomplete) == ((), 1)


@pytest.mark.long
def test_spectra_tell_where_the_lines_of_another_bearing_stand(path: Path) -> None:
    answer = asked(path, {"machine.bearing": "pronostia"})
    assert not answer.by_records
    stood = {one.line: (one.was, one.would) for one in answer.stood}
    assert answer.stood[0].spectra == answer.spectra > 5
    assert stood["bpfo"][0] > answer.spectra // 2  # the machine's outer race is damaged
    assert stood["bpfo"][1] == 0  # there is nothing at 5.6 times its speed
    assert asked(path, {"machine.bearing": None}).stood[0].would is None
    assert asked(path, CHANGES).stood == ()


@pytest.mark.long
def test_another_firmware_judges_in_its_own_way(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose thresholds look for twice the alarm; and this quaver's own, which tells the same."""
    spec = load_board("unix")

    def made(name: str, change: tuple[str, str]) -> Path:
        source = (payload("firmware") / "dsp/alarm.py").read_text()
        assert change[0] in source
        module = compile_mpy(source.replace(*change).encode(), "dsp/alarm.py", spec.arch)
        files = with_packs({**without_packs(firmware_files("unix")), "dsp/alarm.mpy": module}, spec)
        monkeypatch.setattr(bundle, "firmware_files", lambda board: files)
        release = bundle.build_release(["unix"], 5, expires=int(time.time()) + 999, key=KEY)
        (tmp_path / name).write_bytes(release.encode())
        return tmp_path / name

    rule = "self._vote(_OVER_ALARM, value >= self.alarm)"
    same = asked(path, {}, release=made("same.release", (rule, rule)))
    assert said(same.would) == said(same.told, same.dropped)
    assert same.firmware.startswith("release 5, quaver ")
    deaf = asked(path, {}, release=made("deaf.release", (rule, rule.replace("self.alarm", "4 * self.alarm"))))
    peaks = [[one.time_ms for one in of if one.feature == "peak" and one.level == 2] for of in (deaf.told, deaf.would)]
    assert peaks[0] and (not peaks[1] or peaks[1][0] > peaks[0][0])
    pico = bundle.build_release(["pico_w"], 6, expires=int(time.time()) + 999, key=KEY)
    (tmp_path / "pico.release").write_bytes(pico.encode())
    with pytest.raises(WhatIfError, match="is for pico_w; what-if runs a release on this machine"):
        asked(path, {}, release=tmp_path / "pico.release")


@pytest.mark.long
def test_the_command(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "fan.json"
    own.write_text(json.dumps(config()))
    base = ["--node", "fan", "--store", str(path), "--config", str(own)]
    run = CliRunner().invoke
    text = run(command, [*base, "--set", "limits.peak=0.4,2.0"]).output
    for words in ("fan: 36 measurements from 2026-01-05 06:00", "limits.peak=[0.4, 2.0]", "checked: ", "taken as told"):
        assert words in text
    assert "the waveform of an alarm of 2026-01-05 06:14:00, by itself, without what was learned: all its 4,096" in text
    assert re.search(r"not judged: \d+ spectra \(they say where a bearing's lines stand", text)
    bearing = run(command, [*base, '--set=machine.bearing="6308"'])
    assert "not known, for its records are of another measurement" in bearing.output
    assert re.search(r"bpfo +8\d\.\d+ Hz, \d+ dB of evidence", bearing.output)
    assert re.search(r"spectra of the envelope .* as it was: bpfo in \d+, .*; changed: bpfo in ", bearing.output)
    late = run(command, [*base, "--set", "limits.peak=null", "--since", "2026-01-05T06:15", "--json"])
    answer = json.loads(late.stdout)
    assert answer["certain"] is True
    assert answer["measurements"] < 22
    assert answer["alarms_told"] > answer["alarms_would"]
    assert "give --set PATH=VALUE, or --release FILE" in run(command, base).output
    assert "expected PATH=VALUE" in run(command, [*base, "--set", "limits.peak"]).output
    assert isinstance(run(command, [*base, "--set", "interval_s=1"]).exception, WhatIfError)
    assert isinstance(run(command, ["--node=x", "--store", str(path), "--set=limits.rms=1,2"]).exception, StoreError)


@pytest.mark.long
def test_config_set_tells_it_before_it_sends(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from quaver.fleet import procedures

    monkeypatch.setattr(procedures, "read_config", lambda node: config())
    node: Any = SimpleNamespace(node=SimpleNamespace(name="fan"))
    answers = iter([False])
    monkeypatch.setattr("click.confirm", lambda words, err: next(answers))
    with pytest.raises(OperationError, match="node fan is not changed"):
        node_command._foresee(node, path, CHANGES, None, yes=False)
    node_command._foresee(node, path, CHANGES, None, yes=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("alarms as it was: ") == 2
