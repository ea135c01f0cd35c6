"""What a verdict means: an entry for each, in each language, shown with the verdict and never beyond it."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import paho.mqtt.publish as publish
import pytest
from rich.console import Console
from test_cli_ui import BARE, read_until, record
from test_monitor import EVENT, ROOT, TELEMETRY, dumps

from quaver import knowledge
from quaver.broker.embedded import EmbeddedBroker
from quaver.cli import main
from quaver.cli.advice import advice_lines, told
from quaver.cli.ui import Display
from quaver.knowledge import LANGUAGES, entries, keys_of, language
from quaver.recordings.machine import Machine
from quaver_wire.fields import FAULTS, LIMITED, LINES, QUALITY
from quaver_wire.names import MACHINE

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
FAULT = BARE | {20: 9, 21: 2, 22: "outer race", 23: 12.5}  # the event of a named fault
NAMED = [fault.replace(" ", "_") for fault in FAULTS]
NOT_NAMED = {"speed_uncertain", "no_line", "no_bearing", "class_unknown", "not_named"}


# The data


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_is_complete(code: str) -> None:
    def read(name: str) -> dict[str, Any]:
        return tomllib.loads((Path(knowledge.__file__).parent / f"{name}.toml").read_text())

    ours, english = read(code), read("en")
    assert list(ours) == list(english)
    for key, entry in ours.items():
        assert list(entry) == list(english[key]), key
        for name, text in entry.items():
            assert all(text if isinstance(text, list) else [text]), (key, name)
            assert isinstance(text, list) == isinstance(english[key][name], list)
        if key not in ("words", "urgency"):
            assert entry["urgency"] == english[key]["urgency"] and len(entry["check"]) == len(english[key]["check"])


def test_no_language_is_a_copy_of_another() -> None:
    english, german = entries("en"), entries("de")
    same = [key for key in english if english[key].means == german[key].means or english[key].act == german[key].act]
    assert same == []


def test_each_thing_that_a_node_says_has_an_entry() -> None:
    assert set(NAMED) <= set(entries("en"))
    for fault in FAULTS:
        assert keys_of(fault=fault) == [fault.replace(" ", "_")]
    for cause in (*LIMITED, *LINES, "trend", "octave", "impacts"):
        assert len(keys_of(causes=[cause])) == 1, cause
    for mark in QUALITY:
        assert len(keys_of(quality=[mark])) == 1, mark
    assert [keys_of(zone=zone) for zone in "ABCD"] == [[], [], ["zone_c"], ["zone_d"]]
    assert [keys_of(machine=state) for state in MACHINE] == [["stopped"], ["learning"], []]


def test_each_reason_of_the_device_has_an_entry() -> None:
    """A reason that has an entry of its own is one that the device's code gives, word for word."""
    code = "".join(path.read_text() for path in (FIRMWARE / "dsp").glob("*.py"))
    assert [reason for reason in knowledge._ABSTAINED if f'"{reason}"' not in code] == []
    assert keys_of(causes=["bpfo"], abstained="bpfo is weak, 14 dB") == ["line_rise", "not_named"]


def test_nothing_is_named_where_the_node_abstains() -> None:
    causes = [*LIMITED, *LINES]
    for reason in (*knowledge._ABSTAINED, "seen too rarely yet"):
        keys = keys_of(causes=causes, zone="D", quality=QUALITY, machine="watching", abstained=reason)
        assert not set(keys) & set(NAMED) and len(set(keys) & NOT_NAMED) == 1


def test_the_gravest_comes_first_and_a_name_stands_for_its_causes() -> None:
    assert keys_of(fault="ball", zone="D", causes=["rms", "envelope", "bsf2"]) == ["zone_d", "ball"]
    assert keys_of(causes=["rms", "kurtosis", "envelope", "temperature"]) == ["temperature", "envelope_rise"]
    assert keys_of(fault="something later", causes=["rms"]) == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de_AT"}, "de"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "de_CH.UTF-8"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "", "LANG": "de"}, "de"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_users(environment: dict[str, str], expected: str) -> None:
    assert language(environment) == expected


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_entry_fits_the_terminal(code: str, width: int) -> None:
    for advice in entries(code).values():
        lines = advice_lines(advice, width)
        assert max(map(len, lines)) < width
        assert " ".join(" ".join(lines).split()).count(" ".join(advice.act.split())) == 1


# The monitor


@pytest.mark.parametrize(
    ("message_class", "fields", "keys"),
    [
        ("event", EVENT, ["shocks"]),
        ("event", EVENT | {21: 1}, []),
        ("event", EVENT | {21: 0}, []),
        ("event", EVENT | {22: "zone", 21: 1}, ["zone_c"]),
        ("event", EVENT | {22: "zone", 21: 2}, ["zone_d"]),
        ("event", EVENT | {22: "trend", 21: 1}, ["slow_rise"]),
        ("event", EVENT | {22: "trend", 21: 0}, []),
        ("event", FAULT, ["outer_race"]),
        ("event", BARE | {20: 2, 22: "vibration", 25: "no answer"}, ["silent"]),
        ("event", BARE | {20: 2, 22: "vibration", 36: [204, -5]}, ["stuck"]),
        ("event", BARE | {20: 2, 22: "temperature", 36: [5]}, ["temperature_failed"]),
        ("event", BARE | {20: 6}, []),
        ("telemetry", TELEMETRY, []),
    ],
)
def test_what_a_record_calls_for(message_class: str, fields: dict[int, object], keys: list[str]) -> None:
    assert told(record(message_class, fields)) == keys


def level(name: str) -> Any:
    measured = record("telemetry", TELEMETRY)
    return replace(measured, values={**measured.values, "level": name, "quality": []})


def test_it_is_told_once_until_the_machine_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    title = entries("de")["outer_race"].title
    with Display(as_json=False, title="", lang="de") as display:
        for item in (record("event", FAULT), record("event", FAULT), level("alarm"), record("event", FAULT)):
            display.take(item)
        assert capsys.readouterr().err.count(title) == 1
        display.take(level("ok"))
        display.take(record("event", FAULT))
    captured = capsys.readouterr()
    assert captured.err.count(title) == 1 and title not in captured.out


def test_an_older_measurement_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Events overtake records: what was measured before the alarm comes after it."""
    title = entries("en")["shocks"].title
    silent = replace(level("ok"), values={"level": "ok", "quality": ["vibration_failed"]})
    with Display(as_json=False, title="", lang="en") as display:
        for item in (record("event", EVENT), level("ok"), record("event", EVENT)):
            display.take(item)
        assert capsys.readouterr().err.count(title) == 1
        display.take(record("event", EVENT | {21: 0}))
        for item in (silent, record("event", EVENT)):
            display.take(item)
        assert title not in capsys.readouterr().err
        display.take(record("event", EVENT | {21: 0}))
        for item in (level("ok"), record("event", EVENT)):
            display.take(item)
        assert capsys.readouterr().err.count(title) == 1


def test_json_stays_records_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(as_json=True, title="", lang="de") as display:
        display.take(record("event", FAULT))
    captured = capsys.readouterr()
    assert captured.err == "" and len(captured.out.splitlines()) == 1


def test_the_live_picture_lets_go_of_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    monkeypatch.setattr("quaver.cli.ui.terminal", lambda: console)
    with Display(as_json=False, title="t", lang="en") as display:
        display.take(record("event", FAULT))
        assert "Damage on the outer race" in _picture(display)
        display.take(level("ok"))
        assert "Damage on the outer race" not in _picture(display)


def _picture(display: Display) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(display._picture())
    return capture.get()


@pytest.mark.parametrize(("columns", "lang"), [(80, "de"), (120, "en")])
def test_at_a_terminal(columns: int, lang: str) -> None:
    """A person with a small screen reads the whole of it under the table, to the source."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "LC_ALL")}
    with EmbeddedBroker() as broker:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("quaver"), "monitor", "--broker", str(broker.url)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "LANG": f"{lang}.UTF-8"},
        )
        os.close(theirs)
        read_until(ours, "no node has published yet")
        for message_class, fields in (("telemetry", TELEMETRY), ("event", EVENT), ("event", FAULT)):
            publish.single(f"{ROOT}/{message_class}", dumps(fields), qos=1, port=broker.port)
        advice = entries(lang)["outer_race"]
        seen = read_until(ours, advice.title, advice.source.split(";")[0])
        process.terminate()
        process.wait(20)
    os.close(ours)
    rows = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).split("\r\n")
    assert any(row.strip().startswith("2. ") for row in rows)
    assert all(len(row.rstrip()) <= columns for row in rows)


# The analysis


def test_analyze_says_what_its_verdict_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, fault in (("healthy", None), ("outer", "outer")):
        signal = Machine(fault=fault).samples(0, 12000.0, 0, 5 * 16384)[:, 2]
        np.savez(tmp_path / f"{name}.npz", x=signal, fs=12000.0, rpm=1797.0, g_per_lsb=1.0)
    arguments = [str(tmp_path / "outer.npz"), "--bearing", "6205", "--baseline", str(tmp_path / "healthy.npz")]
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert main(["analyze", *arguments, "--learn", "5"]) == 0
    assert "\n  Schaden am Außenring des Lagers\n    Bedeutung: " in capsys.readouterr().out
    assert main(["analyze", *arguments, "--learn", "5", "--lang", "en"]) == 0
    shown = capsys.readouterr().out
    assert "\n  Damage on the outer race of the bearing\n    Means: " in shown and "Schaden" not in shown
    assert main(["analyze", str(tmp_path / "healthy.npz"), "--learn", "2", "--lang", "en"]) == 0
    assert "How urgent" not in capsys.readouterr().out


# The answer of a node


class Answering:
    """In place of the broker and the node behind it: tests/device/test_operations.py has both."""

    answer: ClassVar[dict[str, Any]] = {}

    def __init__(self, *_arguments: Any, name: str, **_settings: Any) -> None:
        self.node = SimpleNamespace(name=name)

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def ask(self, _command: str) -> dict[str, Any]:
        return dict(self.answer)


@pytest.mark.parametrize(
    ("answer", "line", "titles"),
    [
        ({"level": 0, "quality": 0, "rms_g": 0.1, "machine": 2, "zone": 0}, "ok: rms_g 0.1; watching; zone A", []),
        (
            {"level": 2, "quality": 0, "rms_g": 0.9, "machine": 2, "zone": 3, "fault": 1},
            "alarm: rms_g 0.9; watching; zone D; inner race",
            ["zone_d", "inner_race"],
        ),
        (
            {"level": 2, "quality": 0, "rms_g": 0.9, "machine": 2, "abstained": "the speed is not certain"},
            "alarm: rms_g 0.9; watching",
            ["speed_uncertain"],
        ),
        ({"level": 0, "quality": 1 << 2, "machine": 2}, "ok: ; watching; quality: vibration_failed", ["silent"]),
        ({"level": 0, "quality": 0, "machine": 0}, "ok: ; stopped", ["stopped"]),
        ({"level": 0, "quality": 0, "fault": 99}, "ok: ; 99", []),
    ],
)
def test_a_nodes_answer_comes_with_what_it_means(
    answer: dict[str, Any],
    line: str,
    titles: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quaver.fleet.operator.Operator", Answering)
    monkeypatch.setattr("quaver.cli.node.open_store", lambda folder: None)
    monkeypatch.setattr(Answering, "answer", answer)
    assert main(["node", "pump-7", "measure", "--lang", "de"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"pump-7: {line}"
    known = {advice.title: key for key, advice in entries("de").items()}
    assert [known[row.strip()] for row in shown if row.strip() in known] == titles
    assert main(["node", "pump-7", "measure", "--json"]) == 0
    (only,) = capsys.readouterr().out.splitlines()
    assert json.loads(only)["node"] == "pump-7"
