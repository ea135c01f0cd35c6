"""The command line: its help, its failures as one line and an exit code, its way out."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
from test_monitor import EVENT, ROOT, STATUS, TELEMETRY, dumps

from quaver import __version__
from quaver.broker.embedded import EmbeddedBroker
from quaver.cli import COMMANDS, main, root
from quaver.files.carried import payload

WAIT_S = 20.0
QUAVER = Path(sys.executable).with_name("quaver")


def quaver(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [QUAVER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env={**os.environ, **environment},
    )


def the_line(stderr: str) -> str:
    """The one line of a failure, checked to be one."""
    lines = stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("quaver: "), stderr
    return lines[0]


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    assert result.returncode == code, result.stderr
    return the_line(result.stderr)


def test_help_names_every_command() -> None:
    shown = quaver("--help").stdout
    assert all(name in shown for name in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from quaver.cli import main; main(['--help']); "
        "print([m for m in ('numpy', 'scipy', 'rich', 'matplotlib', 'paho', 'amqtt', 'cbor2') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_says_what_the_help_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = root.get_command(None, name)
    assert command.name == name
    assert command.help.splitlines()[0] == COMMANDS[name]
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: quaver {name}")


def test_version() -> None:
    assert quaver("--version").stdout == f"quaver {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "No such command 'nope' (see quaver --help)"),
        (["--what"], "No such option '--what' (see quaver --help)"),
        (["boards", "--jsn"], "No such option '--jsn'. Did you mean '--json'? (see quaver boards --help)"),
        (["monitor", "--count", "0"], "Invalid value for '--count': 0 is not in the range x>=1 (see quaver monitor"),
        (["monitor", "--count", "x"], "Invalid value for '--count': 'x' is not a valid whole number (see quaver mon"),
        (["analyze", "--rate", "x", "f"], "Invalid value for '--rate': 'x' is not a valid number (see quaver analyze"),
        (
            ["recordings", "fetch"],
            "Missing argument 'SET'. Choose from: mfpt, cwru, pronostia (see quaver recordings fetch",
        ),
        (["emulate", "unix"], "What should the sensor measure? Give one of --recording FILE or --model FAULT (see qu"),
        (["node", "n", "config", "set"], "Missing argument 'PATH=VALUE…' (see quaver node NAME config set --help)"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert the_line(capsys.readouterr().err).startswith(f"quaver: {words}")


def test_wrong_usage_is_one_line_of_a_process_too() -> None:
    assert refused(quaver("nope"), 2).startswith("quaver: No such command 'nope' (see quaver --help)")


def test_a_group_without_a_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == 2
    said = capsys.readouterr().err
    assert "  rotate  " in said and "Traceback" not in said


def test_a_failure_is_one_line_and_debug_shows_the_trace() -> None:
    line = refused(quaver("monitor", "--broker", "127.0.0.1:1"), 7)
    assert line.startswith("quaver: broker mqtt://127.0.0.1:1: Connection refused; ")
    for arguments in (["--debug", "monitor"], ["monitor", "--debug"]):
        result = quaver(*arguments, QUAVER_BROKER="127.0.0.1:1")
        assert result.returncode == 7
        assert result.stderr.startswith("Traceback") and result.stderr.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["unix", "--recording", "nowhere.npz"], 5, "nowhere.npz: is not a file"),
        (["unix", "--recording", "mfpt:nothing"], 5, "mfpt:nothing: is not in the MFPT set"),
        (["esp32", "--model", "outer"], 6, "board 'esp32': can't be emulated; expected one of pico_w, esp32_c3, unix"),
        (["unix", "--recording", "nowhere.npz", "--node", "a/b#"], 1, "node 'a/b#': can't be a level of a topic"),
        (
            ["unix", "--recording", "mfpt:x", "--rate", "1000"],
            5,
            "states its rate: leave --channel, --rate and similar options out",
        ),
        (["unix", "--model", "ball", "--baseline", "mfpt:x", "--baseline-rate", "5"], 5, "leave --baseline-channel"),
        (["unix", "--model", "outer", "--broker", "gopher://x"], 7, "its scheme is not one of mqtt://, tcp://, mqtts://"),
        (["unix", "--model", "outer", "--broker", "127.0.0.1:1"], 7, "Connection refused"),
    ],
)  # fmt: skip
def test_emulate_refuses(arguments: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", *arguments, "--json"]) == code
    assert line in the_line(capsys.readouterr().err)


@pytest.mark.parametrize("option", ["--rate=5", "--channel=DE", "--baseline-rate=5", "--baseline-channel=DE"])
def test_emulate_refuses_to_say_how_to_read_what_is_not_there(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "unix", "--model", "outer", option]) == 2
    assert f"{option.partition('=')[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["", "baseline-"])
def test_a_recordings_mistake_names_the_option(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.csv"
    file.write_text("1.0,2.0\n" * 100)
    arguments = ["emulate", "unix", f"--{prefix.rstrip('-') or 'recording'}", str(file)]
    arguments += ["--model", "outer"] if prefix else []
    assert main(arguments) == 5
    assert capsys.readouterr().err == (
        f"quaver: {file}: does not state its sampling rate: give it in Hz (--{prefix}rate HZ)\n"
    )
    assert main([*arguments, f"--{prefix}rate", "1000", f"--{prefix}channel", "z"]) == 5
    assert capsys.readouterr().err == f"quaver: {file}: has no channel 'z': it has 0, 1 (--{prefix}channel NAME)\n"


@pytest.mark.parametrize("limit", ["rms", "rms=1", "rms=2,1", "rms=a,b", "noise=1,2", "rms=nan,nan"])
def test_emulate_refuses_a_limit_that_the_node_would(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "unix", "--model", "outer", "--limit", limit]) == 2
    assert f"'{limit}': expected rms|peak|" in capsys.readouterr().err


def test_unexpected_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("quaver.board.spec.board_names", broken)
    assert main(["boards"]) == 70
    assert capsys.readouterr().err == (
        "quaver: internal error: ZeroDivisionError: oh; run it with --debug and report the traceback\n"
    )


def test_boards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    shown = capsys.readouterr().out
    assert main(["boards", "--json"]) == 0
    boards = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {board["name"] for board in boards} >= {"pico_w", "unix", "esp32", "esp32_s3", "esp32_c3"}
    assert all(board["name"] in shown for board in boards)
    assert {board["name"]: board["emulated"] for board in boards if board["emulated"]} == {
        "esp32_c3": "esp32_c3:",
        "pico_w": "rp2040:",
        "unix": "unix:",
    }
    # of no board more than that: none was tried on silicon
    assert all(board["ran"].startswith("emulated" if board["emulated"] else "compiled only") for board in boards)


def test_a_bad_board_file_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(payload("boards"), tmp_path / "boards")
    good = sorted(path.stem for path in (tmp_path / "boards").glob("*.toml"))
    (tmp_path / "boards" / "broken.toml").write_text("title = ")
    (tmp_path / "boards" / "odd.toml").write_text('title = "Odd"\nchip = "z80"\n')
    monkeypatch.setattr("quaver.board.spec.payload", tmp_path.joinpath)
    for arguments in (["boards"], ["boards", "--json"]):
        assert main(arguments) == 3
        captured = capsys.readouterr()
        assert all(name in captured.out for name in good)
        first, second = captured.err.splitlines()
        assert first.startswith("quaver: boards/broken.toml: expected TOML")
        assert second.startswith("quaver: boards/odd.toml: chip: expected one of rp2040")


def test_tables_and_help_fit_a_terminal() -> None:
    lines = quaver("boards").stdout.splitlines()
    assert all(line == line.rstrip() and len(line) <= 80 for line in lines)
    assert lines[-1] == "without a package: name the image by --image and --sha256"
    # In a process of their own: click keeps the help option of another test.
    code = (
        "from quaver.cli import COMMANDS, main\n"
        "for words in ([], *([name] for name in COMMANDS)): print(end='\\0'); assert main([*words, '-h']) == 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_S)
    helps = done.stdout.split("\0")[1:]
    assert len(helps) == len(COMMANDS) + 1 and all(shown.startswith("Usage: quaver") for shown in helps)
    assert all("..." not in shown.partition("Commands:")[2] for shown in helps)


@pytest.mark.parametrize("arguments", [["boards"], ["boards", "--json"], ["--help"]])
def test_a_full_disk_below_the_output(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [QUAVER, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=WAIT_S, check=False
        )
    assert result.returncode == 74
    assert result.stderr == (
        "quaver: the output can't be written (No space left on device); free disk space for it, or "
        "redirect it elsewhere\n"
    )


def test_an_output_that_is_closed() -> None:
    result = subprocess.run(
        ["/bin/sh", "-c", '"$0" boards >&-', QUAVER], stderr=subprocess.PIPE, text=True, timeout=WAIT_S, check=False
    )
    assert result.returncode == 74
    assert result.stderr == "quaver: standard output is closed; redirect it, for example to /dev/null\n"


def test_recordings_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recordings", "list", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(listed) == 20
    assert {entry["fault"] for entry in listed} == {None, "outer", "inner"}
    assert main(["recordings", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(entry["name"] in shown for entry in listed)


def publish_records(port: int) -> None:
    messages = [
        (f"{ROOT}/status", dumps(STATUS), 1, True),
        (f"{ROOT}/telemetry", b"\xff\xff", 1, True),
        (f"{ROOT}/event", dumps(EVENT), 1, True),
        (f"{ROOT}/telemetry/", dumps(TELEMETRY), 1, True),
    ]
    publish.multiple(messages, port=port)


def test_monitor_json_keeps_records_and_tells_the_rest() -> None:
    """Retained, so that the command may start when it likes; a broker hands retained ones out in any order."""
    with EmbeddedBroker() as broker:
        publish_records(broker.port)
        publish.single(f"{ROOT.replace('node-1', 'node-2')}/status", dumps(STATUS | {2: "node-2"}), qos=1,
                       retain=True, port=broker.port)  # fmt: skip
        result = quaver("monitor", "--broker", broker.url, "--json", "--count", 3)
    assert result.returncode == 0
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted((record["node"], record["kind"]) for record in records) == [
        ("node-1", "event"),
        ("node-1", "status"),
        ("node-2", "status"),
    ]
    event = next(record for record in records if record["kind"] == "event")
    assert event["topic"] == f"{ROOT}/event" and event["event_level"] == "alarm" and event["value"] == 9.5
    assert "broken CBOR" in result.stderr
    assert re.search(r"quaver: \d messages? with problems: 1 cbor", result.stderr)


def test_monitor_lines_for_a_pipe() -> None:
    with EmbeddedBroker() as broker:
        publish_records(broker.port)
        result = quaver("monitor", "--broker", broker.url, "--count", 2)
    assert f"ALARM {ROOT}: kurtosis 9.5, limit 4.5" in result.stdout
    assert f"{ROOT}: online pico_w 0.1.0" in result.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_cleanly(number: int, code: int) -> None:
    with EmbeddedBroker() as broker:
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, retain=True, port=broker.port)
        process = subprocess.Popen(
            [QUAVER, "monitor", "--broker", str(broker.url), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["state"] == "online"
        process.send_signal(number)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == code
    assert errors.strip() == ("quaver: interrupted" if number == signal.SIGINT else "")


def test_a_reader_that_has_enough() -> None:
    with EmbeddedBroker() as broker:
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, retain=True, port=broker.port)
        process = subprocess.Popen(
            [QUAVER, "monitor", "--broker", str(broker.url), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, port=broker.port)
        assert process.wait(WAIT_S) == 1
        assert process.stderr.read() == ""
        process.stderr.close()


def test_nohup_is_obeyed() -> None:
    """Who ignores SIGHUP, as nohup has its command do, wants to outlive the terminal."""
    with EmbeddedBroker() as broker:
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, retain=True, port=broker.port)
        process = subprocess.Popen(
            ["nohup", QUAVER, "monitor", "--broker", str(broker.url), "--json", "--count", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, port=broker.port)
        out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0 and json.loads(out)["kind"] == "status"


def test_tests_give_children_the_default_handlers(tmp_path: Path) -> None:
    """However the tests were started: in the background of a script, SIGINT is ignored."""
    test = tmp_path / "test_child.py"
    test.write_text(
        "import signal, subprocess, sys\n"
        "def test_child():\n"
        "    code = 'import signal; print([signal.getsignal(n) == signal.SIG_IGN for n in (1, 2, 15)])'\n"
        "    assert subprocess.check_output([sys.executable, '-c', code]) == b'[False, False, False]\\n'\n"
    )
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    code = 'trap \'\' HUP INT TERM; exec "$0" -m pytest -q -c /dev/null "$1"'
    subprocess.run(["/bin/sh", "-c", code, sys.executable, test], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_can_not_show_ends_no_command(encoding: str, tmp_path: Path) -> None:
    """Names of nodes, files and networks come from everywhere; a table is a table in ASCII too."""
    plan = tmp_path / "plan.csv"
    site, area, line, asset, name = "\u5de5\u5834", "\u0394", "[red]", "motor\u2014\u00fc", "pump[b]"
    plan.write_text(f"id,name,site,area,line,asset\n0123456789abcdef,{name},{site},{area},{line},{asset}\n")
    there = f"{site}/{area}/{line}/{asset}/\u043d"
    with EmbeddedBroker() as broker:
        publish.single(f"{there}/status", dumps(STATUS | {2: "\u043d"}), qos=1, retain=True, port=broker.port)
        monitor = ["monitor", "--broker", str(broker.url), "--count", "1"]
        commands = [
            (0, ["inventory", "import", str(plan)]),
            (0, ["inventory", "list"]),
            (0, ["inventory", "show", "0123456789abcdef"]),
            (0, ["inventory", "list", "--json"]),
            (0, ["inventory", "export"]),
            (0, ["keys", "create", "1", "--name", "\u043d\u0430\u0441\u043e\u0441"]),
            (0, ["keys", "list"]),
            (0, ["boards"]),
            (0, ["--help"]),
            (5, ["analyze", "\udcff\u2014\u00b0.wav"]),
            (5, ["emulate", "unix", "--recording", "\udcff\u2014\u00b0.wav"]),
            (2, ["\udcfe\u5de5"]),
            (0, monitor),
            (0, [*monitor, "--json"]),
        ]
        code = (
            "import json, sys\nfrom quaver.cli import main\n"
            "for words in json.loads(sys.argv[1]): print(end=f'\\0{main(words)}\\n', flush=True)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps([words for _, words in commands])],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WAIT_S,
            env={
                **os.environ,
                "PYTHONIOENCODING": encoding,
                "QUAVER_INVENTORY": str(tmp_path / "inventory.sqlite"),
                "QUAVER_KEYS": str(tmp_path / "keys"),
                "COLUMNS": "200",
            },
        )
    assert done.returncode == 0 and b"Traceback" not in done.stdout and b"internal" not in done.stdout, done
    said = re.split(r"\0(\d+)\n", done.stdout.decode(encoding if encoding != "ascii" else "utf-8"))
    assert list(map(int, said[1::2])) == [code for code, _ in commands], done
    shown, as_json, record = said[2], said[6], said[26]
    assert "0123456789abcdef" in shown and "[red]" in shown and "pump[b]" in shown
    assert ("\u5de5" in shown) == (encoding == "utf-8")
    assert json.loads(as_json)["site"] == site
    assert json.loads(record.splitlines()[0] if record.startswith("{") else record.splitlines()[-1])["line"] == line


@pytest.mark.parametrize("arguments", ["boards", "boards --json", "--help", "nope", "keys list"])
def test_a_pipe_that_is_closed_gives_no_trace(arguments: str, tmp_path: Path) -> None:
    """Neither below the output nor below the errors."""
    for redirect in ("", "2>&1"):
        result = subprocess.run(
            ["/bin/sh", "-c", f'exec 3>&2; {{ "$0" {arguments} {redirect}; echo $? >&3; }} | true', QUAVER],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            env={**os.environ, "QUAVER_KEYS": str(tmp_path)},
        )
        assert "Traceback" not in result.stderr and "Exception" not in result.stderr
