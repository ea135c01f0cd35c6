"""Commands: each is done once, in time and well formed, or not at all, and every one that was meant gets its answer."""

import asyncio
import json
from binascii import crc32
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from build.keys import load_key, load_keys, save_key
from node.alarm_waveform import AlarmWaveform
from node.trial import Trial
from service import runner
from service.replay import Window
from service.runner import Runner, taken
from tests.programs import program

NOW = 1_790_000_000_000
COMMANDS = {
    "config_get", "config_set", "config_validate", "config_rollback", "identify", "measure", "waveform",
    "waveform_part", "alarm_waveform", "relearn", "relearn_class", "log", "reboot", "rotate", "retire", "update",
    "grant", "revoke", "reset_rule",
}  # fmt: skip


class Node:
    """What the commands of a node work on, over a folder; it leaves a trace."""

    def __init__(self, root: Path, now: int | None = NOW) -> None:
        self.root = str(root)
        self.now = now
        self.did: list[str] = []
        self.wave: bytes | None = None
        self.blinking = None
        self.alarm_waveform = AlarmWaveform(lambda: (3, 90_000, NOW), self.root + "/alarm.wave")
        log = type("Log", (), {"lines": [f"line {n} of the log, forty characters long" for n in range(20)]})
        measuring = type("Measuring", (), {"now": self.measure, "hold": self.hold, "relearn": self.relearn})
        self.parts = {"name": "pump-7", "measuring": measuring, "recorder": self, "log": log}
        self.start()

    def start(self) -> None:
        self.tried = Trial(self.root)
        self.config = self.tried.begin()
        path = self.root + "/commands.taken"
        state, ids = taken(path)
        self.window = Window(state)
        self.runner = Runner(self, lambda: self.now, self.window, ids, path)

    def trial(self) -> Trial:
        return self.tried

    def vibration(self) -> "Node":
        return self

    def hardware(self, work: Any) -> None:
        self.did.append("identify")

    def restart(self) -> None:
        self.did.append("restart")

    def leave(self) -> None:
        self.did.append("leave")

    async def measure(self) -> dict[str, Any]:
        self.did.append("measure")
        return {"rms_g": 0.5}

    @staticmethod
    def hold(ms: int) -> None:
        pass

    def relearn(self, number: int | None = None) -> None:
        self.did.append("relearn" if number is None else f"relearn {number}")

    def waveform(self) -> tuple[bytes, float, float]:
        return bytes(range(256)) * 8, 26667.0, 0.000488

    def event(self, name: str, generation: int) -> None:
        self.did.append(f"{name} {generation}")

    def send(self, identity: Any, name: Any, args: Any = None, expiry: Any = NOW + 1000) -> Any:
        self.window.take(1, self.window._seq + 1)
        return asyncio.run(self.runner.run({"id": identity, "name": name, "args": args, "expiry": expiry}))


@pytest.fixture(autouse=True)
def modules_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here too the tests use what a board gives back after each command."""
    monkeypatch.setattr(runner, "drop", lambda *names: None)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    wifi = {"ssid": "plant", "password": "correct horse"}
    (tmp_path / "config.json").write_text(json.dumps({"node": "pump-7", "wifi": wifi}))
    return Node(tmp_path)


def test_a_command_is_done_and_answered(node: Node) -> None:
    assert node.send(1, "identify") == {"id": 1, "result": {}}
    assert node.send(2, "measure") == {"id": 2, "result": {"rms_g": 0.5}}
    assert node.send(3, "relearn") == {"id": 3, "result": {}}
    assert node.send(4, "relearn_class", {"number": 2}) == {"id": 4, "result": {}}
    assert node.did == ["identify", "measure", "relearn", "relearn 2"]
    assert node.send(5, "reset_rule", {"rule": "hot"}) == {"id": 5, "error": "no rules on this node"}


@pytest.mark.parametrize(
    ("name", "args", "expiry", "reason"),
    [
        ("format", None, NOW, "unknown command"),
        ("erase", None, NOW, "unknown command"),  # a file that commands share
        ("__init__", None, NOW, "unknown command"),
        ("../main", None, NOW, "unknown command"),
        ("x.y", None, NOW, "unknown command"),
        ("", None, NOW, "unknown command"),
        (None, None, NOW, "unknown command"),
        ("identify", {"x": 1}, NOW, "expected 0 arguments"),
        ("config_get", None, NOW, "expected 1 arguments"),
        ("config_get", {"to": 0}, NOW, "at: missing"),
        ("config_get", {"at": "0"}, NOW, "at: expected int from 0 to 65535"),
        ("config_get", {"at": -1}, NOW, "at: expected int from 0 to 65535"),
        ("config_get", {"at": True}, NOW, "at: expected int from 0 to 65535"),
        ("config_set", {"changes": {}}, NOW, "changes: expected dict from 1 to 16"),
        ("rotate", {"key": b"short", "generation": 2}, NOW, "key: expected bytes from 32 to 32"),
        ("retire", {"confirm": "pump-8"}, NOW, "confirm: expected the node's name"),
        ("identify", None, NOW - 1, "expired"),
        ("identify", None, None, "no id or no expiry"),
        ("config_set", {"changes": {"interval_s": "often"}}, NOW, "interval_s: expected float from 0.0 to 86400.0"),
        ("config_set", {"changes": {"brokre.host": "x"}}, NOW, "brokre: unknown key"),
        ("config_set", {"changes": {"node.x": "x"}}, NOW, "node: is switched off"),
        ("config_rollback", None, NOW, "nothing to roll back to"),
        ("rotate", {"key": bytes(32), "generation": 2}, NOW, "not enrolled"),
        ("waveform_part", {"at": 0, "crc": 1}, NOW, "that waveform is gone"),
        ("alarm_waveform", {"fetched": -1}, NOW, "no waveform of an alarm is kept"),
        ("alarm_waveform", {"fetched": 1}, NOW, "no waveform of an alarm is kept"),
    ],
)
def test_a_command_that_can_not_be_done_says_why(node: Node, name: Any, args: Any, expiry: Any, reason: str) -> None:
    assert node.send(1, name, args, expiry=expiry) == {"id": 1, "error": reason}
    assert node.did == [] and not (Path(node.root) / "config.next").exists()


def test_a_command_that_memory_is_too_short_for_is_answered(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure() -> dict[str, Any]:
        raise MemoryError("memory allocation failed, allocating 1201 bytes")

    monkeypatch.setattr(node.parts["measuring"], "now", measure)
    assert node.send(1, "measure") == {"id": 1, "error": "memory"}


def test_a_command_is_done_once_however_often_it_is_sent(node: Node) -> None:
    first = node.send(77, "relearn")
    assert node.send(77, "relearn") == first
    for identity in range(10):
        node.send(identity, "identify")
    node.start()
    assert node.send(9, "relearn") == {"id": 9, "error": "was begun before the last restart"}
    assert node.did == ["relearn"] + 10 * ["identify"]


def test_the_window_is_on_flash_before_the_work_begins(node: Node) -> None:
    node.send(1, "identify")
    node.send(2, "reboot")
    state, ids = taken(node.root + "/commands.taken")
    assert state == node.window.state() and ids == [1, 2]
    node.send(3, "config_get", {"at": 0})
    assert taken(node.root + "/commands.taken")[1] == [1, 2]


def test_without_a_clock_a_command_waits(node: Node) -> None:
    node.now = None
    assert node.send(1, "relearn") == {"id": 1, "error": "clock not set"}
    node.now = NOW
    assert node.send(1, "relearn") == {"id": 1, "result": {}}


@pytest.mark.parametrize("content", ["", "7 x", "zz", "00" * 11 + " 1" * 9])
def test_a_file_that_is_not_whole_takes_nothing(node: Node, content: str) -> None:
    (Path(node.root) / "commands.taken").write_text(content)
    with pytest.raises(ValueError):
        node.start()


def test_flash_that_can_not_be_written_stops_what_would_change_something(node: Node) -> None:
    (Path(node.root) / "commands.taken.new").mkdir()
    assert "error" in node.send(1, "relearn")
    assert "result" in node.send(2, "config_get", {"at": 0})
    assert node.did == []


def test_the_configuration_is_read_in_parts_without_its_secrets(node: Node) -> None:
    first = node.send(1, "config_get", {"at": 0})["result"]
    rest = node.send(2, "config_get", {"at": 10})["result"]
    text = first["text"][:10] + rest["text"]
    assert first["size"] == rest["size"] == len(text)
    assert json.loads(text) == {"node": "pump-7", "wifi": {"ssid": "plant", "password": "*"}}


def test_a_change_is_tried_and_kept_or_not(node: Node) -> None:
    assert node.send(1, "config_validate", {"changes": {"interval_s": 30}}) == {"id": 1, "result": {}}
    assert not (Path(node.root) / "config.next").exists()
    changes = {"interval_s": 30, "broker.host": "mqtt.plant", "wifi.ssid": None, "energy": None}
    assert node.send(2, "config_set", {"changes": changes})["result"] == {"state": "trial"}
    assert node.did == ["restart"]
    node.start()
    assert json.loads(Path(node.config).read_text()) == {
        "node": "pump-7", "interval_s": 30, "broker": {"host": "mqtt.plant"}, "wifi": {"password": "correct horse"},
        "energy": None,
    }  # fmt: skip
    node.tried.accept()
    assert node.send(3, "config_rollback")["result"] == {"state": "trial"}
    node.start()
    assert "interval_s" not in json.loads(Path(node.config).read_text())


def test_a_waveform_comes_in_parts_in_any_order(node: Node) -> None:
    about = node.send(1, "waveform")["result"]
    parts = {}
    for number, at in enumerate(reversed(range(0, about["size"], about["part"])), 2):
        parts[at] = node.send(number, "waveform_part", {"at": at, "crc": about["crc"]})["result"]["data"]
    assert b"".join(parts[at] for at in sorted(parts)) == bytes(range(256)) * 8
    assert max(map(len, parts.values())) <= 480


def test_the_waveform_of_an_alarm_is_there_until_it_was_fetched(node: Node) -> None:
    """Beside the last measurement's, and after a restart."""
    samples = bytes(range(255, -1, -1)) * 32
    assert node.alarm_waveform.save(samples, 26667.0, 0.000488)
    live = node.send(1, "waveform")["result"]
    node.start()
    about = node.send(2, "alarm_waveform", {"fetched": -1})["result"]
    assert about == {
        "size": 8192, "crc": crc32(samples), "part": 480, "rate_hz": 26667.0, "boot": 3, "uptime_ms": 90_000,
        "time_ms": NOW, "scale_g": pytest.approx(0.000488),
    }  # fmt: skip
    parts = [
        node.send(10 + at, "waveform_part", {"at": at, "crc": about["crc"]})["result"]["data"]
        for at in range(0, about["size"], about["part"])
    ]
    assert b"".join(parts) == samples
    first = node.send(5, "waveform_part", {"at": 0, "crc": live["crc"]})["result"]["data"]
    assert first == (bytes(range(256)) * 2)[:480]
    assert "error" in node.send(6, "alarm_waveform", {"fetched": live["crc"]})
    assert node.send(7, "alarm_waveform", {"fetched": about["crc"]}) == {"id": 7, "result": {}}
    assert node.send(7, "alarm_waveform", {"fetched": about["crc"]}) == {"id": 7, "result": {}}  # its answer was lost
    assert node.send(8, "waveform_part", {"at": 0, "crc": about["crc"]})["error"] == "that waveform is gone"


def test_the_log_comes_in_parts(node: Node) -> None:
    lines: list[str] = []
    for number in range(1, 9):
        answer = node.send(number, "log", {"at": len(lines)})["result"]
        lines += answer["lines"]
        if answer["next"] == answer["size"]:
            break
    assert len(lines) == 20 and lines[19].startswith("line 19")


def test_a_new_key_stands_beside_the_old(node: Node) -> None:
    path = node.root + "/device.key"
    Path(path).write_text(json.dumps({"generation": 1, "key": "11" * 32}))
    rotate = {"key": b"2" * 32, "generation": 3}
    assert node.send(1, "rotate", rotate)["error"] == "generation: expected 2"
    assert load_key(path) == (1, b"\x11" * 32)
    assert node.send(2, "rotate", {**rotate, "generation": 2})["result"] == {"generation": 2}
    assert load_key(path) == (2, b"2" * 32)
    assert load_keys(path) == {1: b"\x11" * 32, 2: b"2" * 32}
    save_key(2, b"2" * 32, path=path)  # a message under the new one was opened
    assert load_keys(path) == {2: b"2" * 32}
    assert node.did == ["key_announced 2", "restart"]


def test_every_command_is_a_file_of_its_own() -> None:
    folder = Path(runner.__file__).parents[1] / "command"
    found = {path.stem for path in folder.glob("*.py") if "\nARGUMENTS = " in path.read_text()}
    assert found == COMMANDS
    for name in found:
        work = runner._command(name, None)
        assert isinstance(work.NOTED, bool) and asyncio.iscoroutinefunction(work.run), name
        assert all(isinstance(kind, type) and low <= high for _, kind, low, high in work.ARGUMENTS), name


def test_on_micropython_a_command_that_hangs_is_given_up(tmp_path: Path, micropython: Callable[..., Any]) -> None:
    assert micropython(
        program(__file__, "hanging"),
        argument=str(tmp_path),
        virtual_time=True,
    ) == [
        {"id": 10, "error": "took too long"},
        {"id": 11, "result": {"rms_g": 0.25}},
        {"id": 11, "result": {"rms_g": 0.25}},
        {"id": 12, "result": {"lines": ["a"], "next": 1, "size": 1}},
        [],  # nothing of a command stays
    ]


def test_a_new_key_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """The node has the old key, or the new one beside it; the host, which has both, sends the same one again."""
    tried, states = micropython(
        program(__file__, "rotate_cut"),
        argument=str(Path(__file__).parent),
    )
    assert tried > 10 and states[0] == 1


def test_retiring_with_a_cut_at_its_first_operations(micropython: Callable[..., Any]) -> None:
    """The node is as it was, or without its key; erased once more it holds nothing."""
    states = micropython(
        program(__file__, "retire_cut"),
        argument=str(Path(__file__).parent),
    )
    assert states == [False, True]
