"""`quaver emulate` and `quaver demo` from the command line to the broker, on the quick emulated board."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quaver.broker.address import BrokerUrl
from quaver.cli import main
from quaver.messages.monitor import Monitor
from quaver.messages.record import Record

QUAVER = Path(sys.executable).with_name("quaver")
WAIT_S = 60.0
RATE = 12000.0


@pytest.fixture
def recordings(tmp_path: Path) -> tuple[Path, Path]:
    """A quiet machine, and the same one with a knock 100 times a second; .npz as the data sets come."""
    generator = np.random.default_rng(5)
    t = np.arange(int(RATE * 3)) / RATE
    quiet = generator.normal(0, 0.1, t.size) + 0.2 * np.sin(2 * np.pi * 30 * t)
    since = t % 0.01
    knocking = quiet + 3.0 * np.exp(-since * 3000) * np.sin(2 * np.pi * 3000 * since)
    paths = tmp_path / "quiet.npz", tmp_path / "knocking.npz"
    for path, signal_g in zip(paths, (quiet, knocking), strict=True):
        np.savez(path, x=(signal_g * 1000).astype(np.int16), g_per_lsb=0.001, fs=RATE, rpm=1800)
    return paths


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    found = {pid}
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([QUAVER, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_emulate_tells_the_records_that_an_independent_broker_saw(mosquitto, recordings) -> None:
    quiet, knocking = recordings
    with Monitor(BrokerUrl("127.0.0.1", mosquitto.port)) as monitor:
        process = start(
            "emulate", "unix", "--recording", knocking, "--baseline", quiet, "--baseline-captures", 3,
            "--captures", 7, "--broker", f"mqtt://127.0.0.1:{mosquitto.port}", "--node", "n-7", "--json",
            "--samples", 4096, "--limit", "kurtosis=4,4.5",
        )  # fmt: skip
        output, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, errors
        records = [json.loads(line) for line in output.splitlines()]
        seen: list[Record] = []
        while sum(record.kind == "telemetry" for record in seen) < 7:
            item = monitor.get(WAIT_S)
            assert isinstance(item, Record), item
            seen.append(item)
    assert {record["node"] for record in records} == {"n-7"}
    telemetry = [record for record in records if record["kind"] == "telemetry"]
    # Each 4,096 samples of what was at the sensor: 0.17 g quiet; knocks lift the kurtosis far above 3.
    assert [record["samples"] for record in telemetry] == [4096] * 7
    assert all(
        record["kurtosis"] < 3.5 and record["rms_g"] == pytest.approx(0.173, rel=0.1) for record in telemetry[:3]
    )
    assert all(record["kurtosis"] > 5 for record in telemetry[3:])
    assert all({"temperature_c", "energy"} <= record.keys() and not record["quality"] for record in telemetry)
    assert telemetry[2]["level"] == "ok" and telemetry[-1]["level"] == "alarm"
    alarms = [record for record in records if record.get("code") == "level" and record["event_level"] == "alarm"]
    assert "kurtosis" in {alarm["subject"] for alarm in alarms}
    assert [(record.topic, dict(record.values)) for record in seen if record.kind == "telemetry"] == [
        (record["topic"], {name: record[name] for name in record if name not in PLACE}) for record in telemetry
    ]


PLACE = ("time", "topic", "kind", "site", "area", "line", "asset", "node")


def test_a_limit_from_the_command_line_reaches_the_node(recordings) -> None:
    process = start(
        "emulate", "unix", "--recording", recordings[0], "--limit", "rms=0.01,0.02", "--captures", 4, "--json"
    )
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    assert re.fullmatch(
        r".*quiet.npz: x in counts x 0.001 \(g_per_lsb\), \d+ Hz \(by fs\), at .* z, which the node measures\n"
        r"unix: .*quiet.npz: at mqtt://127.0.0.1:\d+; console: mpremote connect socket://127.0.0.1:\d+\n",
        errors,
    )
    events = [json.loads(line) for line in output.splitlines()]
    assert {event["subject"] for event in events if event.get("event_level") == "alarm"} == {"rms"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(number: signal.Signals, recordings) -> None:
    process = start("emulate", "unix", "--recording", recordings[0], "--json")
    assert process.stdout is not None and process.stderr is not None
    while json.loads(process.stdout.readline())["kind"] != "telemetry":
        pass
    pids = family(process.pid)
    assert len(pids) > 1, "the guest is a process of its own"
    ends = [os.pidfd_open(pid) for pid in pids]
    process.send_signal(number)
    process.communicate(timeout=WAIT_S)
    for pid, end in zip(pids, ends, strict=True):
        assert signalled(end), f"process {pid} is still there"
        os.close(end)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]


def signalled(pidfd: int) -> bool:
    """Whether that process ends within a few seconds; a pidfd reads as ready when it has."""
    import select

    return bool(select.select([pidfd], [], [], 5.0)[0])


def test_demo(tmp_path: Path) -> None:
    picture = tmp_path / "spectra.png"
    process = start("demo", "--board", "unix", "--output", picture)
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    *lines, summary, where = output.splitlines()
    words = r"alarm after [\d.]+ s on unix: BPFO 0\.1\d+, limit 0\.\d+; none in 3 healthy captures before"
    assert re.fullmatch(words, summary) and len(summary) <= 100, summary
    assert where == f"spectra in {picture}" and picture.read_bytes().startswith(b"\x89PNG")
    (alarm,) = [line for line in lines if line.startswith("ALARM ")]
    told = r"; BPFO at 80\.\d Hz and 3 harmonics, [78]\d dB of evidence; 14\d\d 1/min, \d+ % certain"
    assert re.search(told + "; its waveform is kept$", alarm), alarm
    # What is shown ends with the measurement that raised the alarm, not before it.
    measured = [line for line in lines if " rms " in line]
    assert lines[-1] == measured[-1] and ": alarm, rms " in lines[-1] and "fault: outer race" in lines[-1]
    assert ["alarm" in line for line in measured] == [False] * (len(measured) - 1) + [True]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("no/such.png", "No such file or directory"), ("file/such.png", "Not a directory")],
)
def test_demo_where_no_picture_can_be(tmp_path: Path, place: str, reason: str) -> None:
    """Told before the work, not after it."""
    (tmp_path / "file").write_bytes(b"")
    process = start("demo", "--board", "unix", "--output", tmp_path / place)
    output, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1 and output == ""
    assert errors == f"quaver: {tmp_path / place}: can't save the picture: {reason}; name another file\n"


def test_recordings_fetch() -> None:
    process = start("recordings", "fetch", "mfpt")
    output, errors = process.communicate(timeout=300)  # a first download takes its time; later it is at hand
    assert process.returncode == 0, errors
    assert output.startswith("mfpt: 20 recordings in ") and len(list(Path(output.split()[-1]).glob("*.mat"))) == 20
    assert "not for commercial use" in errors


def test_a_name_outside_ascii_comes_online(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--captures", "1", "--interval", "0", "--samples", "1024", "--json"]
    assert main(["emulate", "unix", "--model", "healthy", "--node", "né—1°", *options]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["node"] for record in records} == {"né—1°"}
    assert "telemetry" in {record["kind"] for record in records}
