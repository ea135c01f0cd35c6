"""What a person sees: the table, the lines, and the live picture on a terminal."""

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
from rich.console import Console
from test_monitor import EVENT, ROOT, STATUS, TELEMETRY, dumps

from quaver.broker.embedded import EmbeddedBroker
from quaver.cli.ui import Display, counted, event_words, fleet_table, print_note, print_record, record_line
from quaver.fleet.state import Fleet
from quaver.messages.monitor import Link, Problem
from quaver.messages.record import Record, decode

WAIT_S = 20.0
BARE = {0: 2, 1: 1, 2: "node-1"}


def record(message_class: str, fields: dict[int, object]) -> Record:
    return decode(f"{ROOT}/{message_class}", dumps(fields), received=100.0)


def shown(fleet: Fleet, now: float = 103.0, width: int = 160) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(fleet_table(fleet, now, width))
    return capture.get()


def test_table() -> None:
    fleet = Fleet()
    assert "no node has published yet" in shown(fleet)
    for message_class, fields in (("status", STATUS), ("telemetry", TELEMETRY), ("event", EVENT)):
        fleet.update(record(message_class, fields))
    table = shown(fleet)
    row = next(line for line in table.splitlines() if ROOT in line)
    assert re.split(r"\s{2,}", row.strip()) == [
        ROOT, "online", "alarm", "1", "0.100", "0.50", "5.0", "3.1", "100 Hz", "21.5", "414", "3 s", "dropped, stuck"
    ]  # fmt: skip
    assert f"ALARM {ROOT}: kurtosis 9.5, limit 4.5" in table


def test_table_on_a_narrow_terminal() -> None:
    """At 80 columns every cell that is shown is whole, the node's place over several lines if need be."""
    fleet = Fleet()
    long = ROOT.replace("pump-7", "a-rather-long-name-7")
    for message_class, fields in (("status", STATUS), ("telemetry", TELEMETRY)):
        fleet.update(decode(f"{long}/{message_class}", dumps(fields), received=100.0))
    lines = shown(fleet, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    row = next(line for line in lines if "online" in line)
    assert row.split()[-8:] == ["alarm", "1", "0.100", "0.50", "5.0", "3.1", "3", "s"]
    assert f"{long}: quality dropped, stuck" in lines


def test_a_record_with_little_in_it() -> None:
    poor = {0: 2, 1: 0, 2: "node-1", 8: 4}
    fleet = Fleet()
    fleet.update(record("telemetry", poor))
    assert "vibration_failed" in shown(fleet)
    assert record_line(record("telemetry", poor)) == (
        f"{ROOT}: ok, no vibration, no temperature, quality: vibration_failed"
    )
    failed = {key: value for key, value in TELEMETRY.items() if key < 10} | {7: 0, 8: 4, 9: [None] * 8 + [2752]}
    assert record_line(record("telemetry", failed)) == f"{ROOT}: ok, no vibration, 21.5 °C, quality: vibration_failed"


@pytest.mark.parametrize(
    ("quality", "level", "style"),
    [
        (0, 0, "green"),
        (1, 0, "green"),
        (32, 0, ""),
        (36, 0, ""),
        (4, 0, ""),
        (8, 0, ""),
        (16, 0, ""),
        (4, 2, "bold white on red"),
    ],
)
def test_a_level_is_green_only_when_every_sensor_spoke(quality: int, level: int, style: str) -> None:
    fleet = Fleet()
    fleet.update(record("telemetry", TELEMETRY | {8: quality, 7: level}))
    console = Console(width=160, force_terminal=True, color_system="standard", theme=None)
    segments = [segment for line in console.render_lines(fleet_table(fleet, 103.0, 160)) for segment in line]
    word = next(segment for segment in segments if segment.text.strip() in ("ok", "alarm"))
    assert str(word.style or "").replace("none", "").strip() == style


def test_what_a_machine_names_itself_is_shown_with_its_unit() -> None:
    own = record("telemetry", TELEMETRY | {99: {"oil_pressure": [4.25, "bar"]}})
    assert ", oil_pressure 4.25 bar" in record_line(own)
    assert ", 21.5 °C, 43 % RH" in record_line(record("telemetry", TELEMETRY | {56: [4321]}))
    motor = TELEMETRY | {58: [8012, 5001], 59: [300, -452, -704]}
    for given, words in (
        (motor, "8.01 A, 50.01 Hz, sidebands ±3.00 Hz at -45.2 dB"),
        (motor | {59: [None, None, -704]}, "8.01 A, 50.01 Hz, no sidebands above -70 dB"),
        (TELEMETRY | {58: [12, None]}, "0.01 A, no line in it"),
    ):
        assert record_line(record("telemetry", given)).split(" °C, ")[-1].startswith(words)
    phases = {57: [23010, 23000, None, 12500, 11000, 0, 20000, 18000, -10]}
    told = "L1 230.1 V 12.50 A 2000 W, L2 230.0 V 11.00 A 1800 W, L3 - V 0.00 A -1 W"
    assert f", {told}" in record_line(record("telemetry", TELEMETRY | phases))
    fleet = Fleet()
    fleet.update(record("telemetry", TELEMETRY | phases))
    assert f"{ROOT}: {told}" in shown(fleet)
    fleet.update(own)
    assert f"{ROOT}: oil_pressure 4.25 bar" in shown(fleet)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (EVENT, "ALARM {}: kurtosis 9.5, limit 4.5"),
        (EVENT | {21: 0, 22: "rms", 23: 0.25}, "OK {}: RMS 0.25 g, limit 4.5 g"),
        (BARE | {20: 2, 22: "temperature", 25: "no answer"}, "sensor failed {}: temperature no answer"),
        (BARE | {20: 2, 22: "temperature", 36: [5]}, "sensor failed {}: temperature no answer"),
        (
            BARE | {20: 2, 22: "vibration", 36: [204, -5]},
            "sensor failed {}: vibration stuck: the same value every time (-5)",
        ),
        (
            BARE | {20: 15, 22: "energy", 36: [206, 0x015602]},
            "value absent {}: energy refuses register 0x0156 (2, no such register)",
        ),
        (BARE | {20: 2, 22: "energy", 36: [999, None, 7]}, "sensor failed {}: energy error 999"),
        (BARE | {20: 6}, "boot {}: -"),
        (BARE | {20: 5, 25: "\x1b[2Jgone"}, "config invalid {}: ?[2Jgone"),
    ],
)
def test_events_in_words(fields: dict[int, object], words: str) -> None:
    assert event_words(record("event", fields)) == words.format(ROOT)


def test_counted() -> None:
    assert counted({"cbor": 1}) == "1 message with problems: 1 cbor"
    assert counted({"topic": 1, "cbor": 2}) == "3 messages with problems: 2 cbor, 1 topic"


def test_json_and_notes_keep_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(record("telemetry", TELEMETRY), as_json=True)
    print_note(Problem("cbor", "x/y: broken CBOR", "x/y"))
    print_note(Link(False, "broker mqtt://h:1: connection lost; reconnecting"))
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rms_g"] == 0.1
    assert captured.err.splitlines() == [
        "quaver: x/y: broken CBOR",
        "quaver: broker mqtt://h:1: connection lost; reconnecting",
    ]


def test_a_headline_is_told_beside_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(True, "the title") as display:
        display.headline("the title: at mqtt://h:1; console: mpremote connect socket://h:2")
        display.step("measuring")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "the title: at mqtt://h:1; console: mpremote connect socket://h:2\n"


def test_a_download_moves_on_where_it_can_be_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr("quaver.cli.ui.terminal", lambda: screen)
    for total in (None, 5):
        with Display(False, "the title", total=total) as display:
            display.step("fetching the image")
            display.fetching("fw.uf2", 1, 3)
            assert "fetching the image: 33 %" in (picture := shown_on(screen, display)), picture
            display.fetching("fw.uf2", 3, 0)  # a server that does not say how much it is
            display.step("booting")
            assert "fetching" not in shown_on(screen, display)


def shown_on(screen: Console, display: Display) -> str:
    with screen.capture() as capture:
        screen.print(display._picture())
    return capture.get()


def test_a_step_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(False, "the title", {"topic": 2}, total=3) as display:
        for words in ("booting", "booting", "measuring"):
            display.step(words)
        display.advance(1)
        display.take(None)
        display.take(record("status", STATUS))
    captured = capsys.readouterr()
    assert captured.out == f"{ROOT}: online pico_w 0.1.0\n"
    assert captured.err.splitlines() == [
        "the title",
        "booting",
        "measuring",
        "quaver: 2 messages with problems: 2 topic",
    ]


def read_until(fd: int, *wanted: str) -> str:
    seen = ""
    while not all(words in seen for words in wanted):
        ready, _, _ = select.select([fd], [], [], WAIT_S)
        assert ready, seen
        seen += os.read(fd, 65536).decode(errors="replace")
    return seen


def test_live_table_on_a_terminal() -> None:
    """On a terminal the table is redrawn in place as records come, and Ctrl-C leaves the last picture."""
    ours, theirs = pty.openpty()
    with EmbeddedBroker() as broker:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("quaver"), "monitor", "--broker", str(broker.url)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "180"},
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(theirs)
        read_until(ours, f"watching {broker.url}", "no node has published yet")
        for message_class, fields in (("status", STATUS), ("telemetry", TELEMETRY), ("event", EVENT)):
            publish.single(f"{ROOT}/{message_class}", dumps(fields), qos=1, port=broker.port)
        read_until(ours, ROOT, "online", "alarm", "100 Hz", "limit 4.5")
        os.write(ours, b"\x03")
        last = read_until(ours, "quaver: interrupted")
        assert process.wait(WAIT_S) == 130
    assert "\x1b[?25h" in last  # the cursor is back
    os.close(ours)


def test_a_gateway_tells_how_it_does_under_the_table() -> None:
    fleet = Fleet()
    healthy = {0: 2, 1: 0, 2: "node-1", 17: 61_000, 18: [4, 3, 20, 1, 55, 7, 1], 19: [3, None, 45, 12]}
    for message_class, fields in (("status", STATUS | {35: 1}), ("telemetry", healthy)):
        fleet.update(record(message_class, fields))
    words = (
        f"{ROOT}: gateway, 3 of 4 nodes heard; connected 3 to 45 s ago, 1 never; 7 records and 1 commands wait; "
        "heap 61 kB free"
    )
    assert words in shown(fleet, width=200)
    assert record_line(record("telemetry", healthy)) == words
    assert record("status", STATUS | {35: 1}).values["role"] == "gateway"
    assert record("status", STATUS).values["role"] == "node"


def test_a_node_behind_a_gateway_was_seen_when_it_was_visited_and_not_when_the_broker_told_of_it() -> None:
    fleet = Fleet()
    fleet.update(record("status", STATUS | {30: 2, 6: (40_000).to_bytes(2, "big")}))
    row = next(line for line in shown(fleet).splitlines() if ROOT in line)
    assert "via gateway" in row and "63 s" in row
    fleet.update(record("telemetry", TELEMETRY))
    assert "3 s" in next(line for line in shown(fleet).splitlines() if ROOT in line)


def test_an_alarm_tells_of_its_waveform() -> None:
    assert event_words(record("event", EVENT | {37: 1})) == (
        f"ALARM {ROOT}: kurtosis 9.5, limit 4.5; its waveform is kept"
    )


def test_an_alarm_tells_its_evidence() -> None:
    evidence = {16: "bpfi and bpfo are alike", 38: [1, 16219, 5120, 415, 60, 4, 301, 2995, 94], 39: [301, None, 169]}
    said = record("event", EVENT | evidence)
    assert event_words(said) == (
        f"ALARM {ROOT}: kurtosis 9.5, limit 4.5; BPFI at 162.2 Hz and 2 harmonics and sidebands, 42 dB of evidence; "
        "1797 1/min, 94 % certain; no fault named: BPFI and BPFO are alike"
    )
    told = said.as_json()
    assert (told["line"], told["evidence_line"], told["margin_db"], told["signs"]) == ("line-2", "bpfi", 6, 4)
    assert told["harmonics_db"] == [30.1, None, 16.9]
    rotor = record("event", EVENT | {20: 9, 22: "unbalance", 38: [None] * 7 + [2995, 94, 81]})
    assert event_words(rotor).endswith("; 81 % of the velocity's power; 1797 1/min, 94 % certain")


def test_a_spectrum_is_no_measurement() -> None:
    """It adds a line and moves nothing in the table, and JSON takes its bytes."""
    spectrum = BARE | {1: 0, 7: 2, 50: bytes(range(256)), 51: bytes(256), 52: [133335, 8334], 53: [2995]}
    fleet = Fleet()
    for message in (STATUS, TELEMETRY, spectrum):
        fleet.update(record("status" if message is STATUS else "telemetry", message))
    assert fleet.nodes[ROOT].captures == 1
    assert fleet.nodes[ROOT].telemetry["rms_g"] == 0.1
    assert not fleet.events
    shown_as = record("telemetry", spectrum)
    assert record_line(shown_as) == f"{ROOT}: alarm, a spectrum up to 13,334 Hz"
    told = json.loads(json.dumps(shown_as.as_json()))
    assert (told["kind"], told["spectrum"], told["marks_hz"]) == ("spectrum", bytes(range(256)).hex(), [29.95])
