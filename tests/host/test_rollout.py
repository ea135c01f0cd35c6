"""`quaver rollout` as a person calls it: what it refuses, how it goes on after a kill, what it keeps."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from quaver.cli import main
from quaver.errors import RolloutError
from quaver.fleet.inventory import Entry, Inventory
from quaver.fleet.keys import KeyStore
from quaver.messages.sealing import Opener
from quaver.release import bundle
from quaver.release.signing import PrivateKey
from quaver.rollout.engine import PAUSED, RUNNING, WATCHED, Member, Rules
from quaver.rollout.plan import select
from quaver.rollout.state import Rollouts
from quaver.rollout.windows import is_open, parse_window
from quaver_wire.fields import EVENTS
from tests.host.fleet import Node

KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
PLACE = ("plant", "hall", "line-2", "pump")  # of tests.host.fleet


def entry(number: int, **changes: Any) -> Entry:
    place = dict(zip(("site", "area", "line", "asset"), PLACE, strict=True))
    return Entry(number.to_bytes(8, "big"), f"n{number}", **{**place, **changes})


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        (["plant"], "n1 n2 n3"),
        (["plant/hall/line-2"], "n1 n2"),
        (["*/*/*/*/n[23]"], "n2 n3"),
        (["plant/hall/line-?/fan", "*/*/*/*/n1"], "n1 n3"),
    ],
)
def test_a_selector_names_nodes_by_their_topic_prefix(selectors: list[str], names: str) -> None:
    entries = [entry(1), entry(2), entry(3, line="line-3", asset="fan"), entry(4, state="retired")]
    assert " ".join(sorted(found.name for found in select(entries, selectors))) == names


@pytest.mark.parametrize("selector", ["", "plant//line-2", "a/b/c/d/e/f", "plan", "*/*/*/*/n4"])
def test_a_selector_that_names_nothing_is_refused(selector: str) -> None:
    with pytest.raises(RolloutError, match="--to "):
        select([entry(1), entry(4, state="retired")], [selector])


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-05:00", ["2026-09-21 22:00", "2026-09-22 04:59"], ["2026-09-22 05:00", "2026-09-21 21:59"]),
        ("Sat 06:00-18:00", ["2026-09-26 06:00"], ["2026-09-25 12:00", "2026-09-26 18:00"]),
        ("Mon-Fri 22:00-05:00", ["2026-09-25 23:00", "2026-09-26 04:00"], ["2026-09-26 23:00", "2026-09-21 04:00"]),
        ("Sat-Mon 10:00-11:00", ["2026-09-27 10:30", "2026-09-28 10:30"], ["2026-09-29 10:30"]),
    ],
)
def test_a_maintenance_window(text: str, inside: list[str], outside: list[str]) -> None:
    windows = [parse_window(text)]
    assert all(is_open(windows, datetime.fromisoformat(when)) for when in inside)
    assert not any(is_open(windows, datetime.fromisoformat(when)) for when in outside)
    assert is_open([], datetime.fromisoformat(outside[0]))


@pytest.mark.parametrize("text", ["", "22-05", "22:00-22:00", "24:00-05:00", "22:60-05:00", "Mo 22:00-05:00", "22:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(RolloutError, match="--window"):
        parse_window(text)


# The state.


def started(rollouts: Rollouts) -> Any:
    members = [Member(number.to_bytes(8, "big"), f"a/b/c/d/n{number}", min(number, 1)) for number in range(4)]
    rules = Rules(3, 100, 10, 1e10)
    return rollouts.start(
        sequence=7,
        version="0.2.0",
        envelopes=[b"one", b"another"],
        selectors=["a/b"],
        windows=["22:00-05:00"],
        rules=rules,
        members=members,
    )


def test_what_was_written_is_there_and_one_rollout_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.sqlite"
    with Rollouts(path) as rollouts:
        first = started(rollouts)
        members = rollouts.members(first.number)
        members[0].state, members[0].loud, members[0].since = WATCHED, True, 12.5
        rollouts.save(first, RUNNING, "", members[:1])
        with pytest.raises(RolloutError, match="is running, not over"):
            started(rollouts)
    assert path.stat().st_mode & 0o777 == 0o600
    with Rollouts(path) as rollouts:
        assert rollouts.last() == first and rollouts.members(1) == members
        assert rollouts.runs() == {members[0].id: 7}


def test_a_pause_from_elsewhere_is_not_written_over(tmp_path: Path) -> None:
    with Rollouts(tmp_path / "r.sqlite") as mine, Rollouts(tmp_path / "r.sqlite") as theirs:
        rollout = started(mine)
        assert mine.claim() and not theirs.claim()
        theirs.set_state(rollout.number, PAUSED, "by hand")
        mine.save(rollout, "ended", "", [])
        assert mine.state(rollout.number) == (PAUSED, "by hand")


@pytest.mark.parametrize(("content", "mode"), [(b"no database at all, by far", 0o600), (b"", 0o644)])
def test_a_file_that_is_none_of_ours_is_refused_and_stays(tmp_path: Path, content: bytes, mode: int) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(RolloutError):
        Rollouts(path)
    assert path.read_bytes() == content


# The command, against nodes that answer as real ones do; real ones are in tests/host/test_rollout_nodes.py.


class Answering:
    """Made-up nodes at a real broker: each is online, opens its commands and does with a release as `way` says."""

    def __init__(self, port: int, keys: KeyStore, count: int) -> None:
        self.nodes = {
            number.to_bytes(8, "big"): Node(keys, number.to_bytes(8, "big"), f"n{number}")
            for number in range(1, count + 1)
        }
        self.rejecting: set[str] = set()
        self.silent = False
        self._opener = Opener(keys, "downlink")
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("plant/+/+/+/+/command", qos=1)
        self.client.loop_start()
        for node in self.nodes.values():
            self.says(node, "status")
        self.told: list[str] = []

    def says(self, node: Node, message_class: str, **values: Any) -> None:
        message = node.seal(message_class, **values)
        self.client.publish(node.topic(message_class), message, qos=1, retain=message_class == "status")

    def _message(self, _client: Any, _data: Any, message: Any) -> None:
        opened = self._opener.open("command", message.payload)
        node = self.nodes[opened.node_id]
        self.told.append(node.name)
        if self.silent:
            return
        self.says(node, "answer", id=opened.record["id"], result={"state": "fetching", "sequence": 7})
        self.boots(node)
        if node.name in self.rejecting:
            self.boots(node)
            self.says(node, "event", code=EVENTS.index("update_rejected"), text="restarted before it was confirmed")
        else:
            self.says(node, "event", code=EVENTS.index("update_confirmed"), value=7.0)

    def boots(self, node: Node) -> None:
        node.boot += 1
        node.seq = 0
        self.says(node, "status")

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Rig:
    def __init__(self, folder: Path, port: int, keys: KeyStore, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.port, self.keys = folder, port, keys
        self._capfd = capfd
        self.release = self.build(7)

    def build(self, sequence: int, **settings: Any) -> Path:
        expires = settings.pop("expires", int(time.time()) + 10_000_000)
        path = self.folder / f"{sequence}.release"
        path.write_bytes(bundle.build_release(["unix"], sequence, expires=expires, key=KEY, **settings).encode())
        return path

    def __call__(self, *words: str, code: int = 0) -> str:
        """What `quaver rollout …` prints; of a failure its one line."""
        self._capfd.readouterr()
        ended = main(["rollout", *words])
        out, err = self._capfd.readouterr()
        assert ended == code, (ended, out, err)
        return out if code == 0 else err.splitlines()[-1]

    def start(self, *more: str, code: int = 0) -> str:
        return self("start", str(self.release), "--to=plant", "--watch=0", *more, code=code)


@pytest.fixture
def rig(
    tmp_path: Path, mosquitto: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Rig]:
    for name in ("inventory.sqlite", "rollouts.sqlite", "keys", "release_key"):
        monkeypatch.setenv(f"QUAVER_{name.partition('.')[0].upper()}", str(tmp_path / name))
    monkeypatch.setenv("QUAVER_BROKER", f"mqtt://127.0.0.1:{mosquitto.port}")
    keys = KeyStore(tmp_path / "keys")
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        inventory.put_all(entry(number, asset=f"m{number}" if number > 40 else PLACE[3]) for number in range(1, 7))
    yield Rig(tmp_path, mosquitto.port, keys, capfd)


@pytest.fixture
def nodes(rig: Rig) -> Iterator[Answering]:
    nodes = Answering(rig.port, rig.keys, 6)
    yield nodes
    nodes.stop()


def test_a_rollout_to_its_end_and_again(rig: Rig, nodes: Answering) -> None:
    assert rig.start() == "rollout 1: 6 of 6 nodes updated\n"
    assert sorted(nodes.told) == ["n1", "n2", "n3", "n4", "n5", "n6"]
    status = rig("status")
    assert "6 of 6 nodes updated" in status and "canary" in status
    found = json.loads(rig("status", "--json"))
    assert (found["state"], {node["state"] for node in found["nodes"]}) == ("ended", {"updated"})
    assert "rollout 1 is ended" in rig("pause", code=21)
    assert "rollout 1 is ended" in rig("abort", code=21)
    assert "rollout 1 is ended" in rig("resume", code=21)
    older = rig.build(5)
    assert "not signed for them to step down" in rig("start", str(older), "--to=plant", code=21)
    down = rig.build(6, downgrade=list(nodes.nodes))
    nodes.rejecting = {node.name for node in nodes.nodes.values()}
    assert "the canary failed" in rig("start", str(down), "--to=plant", code=22)


def test_the_canary_that_fails_pauses_it_and_resume_goes_on(rig: Rig, nodes: Answering) -> None:
    nodes.rejecting = {node.name for node in nodes.nodes.values()}
    said = rig.start(code=22)
    assert "paused: the canary failed" in said and "restarted before it was confirmed" in said
    assert len(nodes.told) == 1
    assert "failed once: restarted before it was confirmed" in " ".join(rig("status").split())
    assert "rollout 1 (release 7) is paused, not over" in rig.start(code=21)
    assert "Connection refused" in rig("resume", "--broker=mqtt://127.0.0.1:1", code=7)
    assert "\npaused: the canary failed" in rig("status")
    nodes.rejecting = {nodes.told[0]}
    assert "paused: the canary failed" in rig("resume", code=22)
    assert "5 of 6 nodes updated; 1 penalty box" in rig("resume", code=23)


def test_a_killed_one_goes_on_with_what_was_said_meanwhile(rig: Rig, nodes: Answering) -> None:
    nodes.silent = True
    command = [sys.executable, "-m", "quaver.cli", "rollout", "start", str(rig.release), "--to=plant", "--watch=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ))
    wait(lambda: nodes.told)
    assert "another program runs a rollout" in rig("resume", code=21)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "no program runs it" in rig("status")
    with Rollouts(rig.folder / "rollouts.sqlite") as rollouts:
        [told] = [member for member in rollouts.members(1) if member.state == "told"]
    node = nodes.nodes[told.id]
    nodes.says(node, "answer", id=told.command, result={"state": "fetching"})
    nodes.boots(node)
    nodes.says(node, "event", code=EVENTS.index("update_confirmed"), value=7.0)
    nodes.silent = False
    assert rig.start() == "rollout 1: 6 of 6 nodes updated\n"
    assert sorted(nodes.told) == ["n1", "n2", "n3", "n4", "n5", "n6"]  # nobody was told twice


def test_one_that_was_noted_as_told_and_killed_before_it_was_is_told(rig: Rig, nodes: Answering) -> None:
    release = bundle.read_release(rig.release)
    [first] = list(nodes.nodes)[:1]
    member = Member(first, "/".join((*PLACE, "n1")), 0, state="told", boot=1, command=77)
    with Rollouts(rig.folder / "rollouts.sqlite") as rollouts:
        rules = Rules(3, 1000, 0, time.time() + 1000)
        names: dict[str, Any] = {"selectors": ["plant"], "windows": [], "rules": rules, "members": [member]}
        rollouts.start(sequence=7, version="0.1.0", envelopes=release.envelopes, **names)
    assert rig("resume") == "rollout 1: 1 of 1 nodes updated\n"
    assert nodes.told == ["n1"]


def test_pause_and_abort_from_another_terminal(rig: Rig, nodes: Answering) -> None:
    nodes.silent = True
    command = [sys.executable, "-m", "quaver.cli", "rollout", "start", str(rig.release), "--to=plant", "--step=2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    wait(lambda: nodes.told)
    assert rig("pause") == "rollout 1 is paused; quaver rollout resume goes on\n"
    _, said = process.communicate(timeout=60)
    assert process.returncode == 22 and "took no step for 2 s: no answer" in said and len(nodes.told) == 1
    assert "rollout 1 is aborted: 0 of 6 nodes updated; 6 waiting" in rig("abort")
    nodes.silent = False
    assert rig.start() == "rollout 2: 6 of 6 nodes updated\n"


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_can_not_have_it_is_told_and_the_rest_get_it(rig: Rig, nodes: Answering) -> None:
    with Inventory(rig.folder / "inventory.sqlite") as inventory:
        inventory.put(entry(1, board="pico_w"))
        inventory.put(entry(9))
    said = json.loads(rig_out(rig, "--json"))
    reasons = {node["node"].rpartition("/")[2]: node["reason"] for node in said["nodes"] if node["reason"]}
    assert reasons["n1"] == "the release is not for its board, pico_w"
    assert reasons["n9"].startswith("has no key in ")


def rig_out(rig: Rig, *more: str) -> str:
    rig._capfd.readouterr()
    assert main(["rollout", "start", str(rig.release), "--to=plant", "--watch=0", *more]) == 23
    return rig._capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["status"], 21, "there is no rollout; start one with quaver rollout start"),
        (["resume"], 21, "there is no rollout"),
        (["start", "missing.release", "--to=plant"], 20, "missing.release: can't be read"),
        (["start", "{release}", "--to=elsewhere"], 21, "--to 'elsewhere': names no node"),
        (["start", "{release}", "--to=plant", "--window=noon"], 21, "--window 'noon': expected two different times"),
        (["start", "{release}", "--to=plant", "--broker=mqtt://127.0.0.1:1"], 7, "Connection refused"),
        (["start", "{release}"], 2, "Missing option '--to'"),
        (["start", "{expired}", "--to=plant"], 20, "the release expired on"),
    ],
)
def test_what_is_refused_leaves_no_rollout(rig: Rig, words: list[str], code: int, says: str) -> None:
    rig.keys.create(bytes(8), "n0")
    files = {"release": rig.release, "expired": rig.build(8, expires=1_700_000_000)}
    said = rig(*(word.format(**files) for word in words), code=code)
    assert says in said
    assert "there is no rollout" in rig("status", code=21)
