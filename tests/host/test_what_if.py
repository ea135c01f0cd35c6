"""What-if: the answer is what a node with the changed configuration, or firmware, tells of the same machine."""

import json
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
from quaver.errors import OperationError, StoreError, WhatIfError
from quaver.files.carried import payload
from quaver.plant.island import node_config
from quaver.plant.spec import Plant, plant_of
from quaver.plant.world import World
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


def ran(folder: Path, config: dict[str, Any]) -> Path:
    with World(plant(config), folder, 1) as world:
        world.run()
        return world.path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("plant"), OWN)


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
        ({"vibration.samples": 8192}, "the store has no samples to measure again"),
        ({"machine.bearing": "6206"}, "the store has no samples to measure again"),
        ({"machine.classes": {"rpm": [1000]}}, "can't be answered"),
        ({"interval_s": 30}, "no level depends on it"),
    ],
)
def test_what_records_cannot_answer_is_refused(path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WhatIfError, match=words) as refused:
        asked(path, changes)
    assert "\n" not in str(refused.value)


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
