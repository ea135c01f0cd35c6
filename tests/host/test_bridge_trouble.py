"""What becomes of each sink where its broker refuses it, says nothing, or is away for an hour, and of a full disk."""

import json
import socket
import sqlite3
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from subprocess import run

import pytest
from fleet import Node
from test_bridge import NOW_MS, Listener, listener  # noqa: F401  a fixture
from test_diode import key  # noqa: F401  a fixture
from test_ingest import Bench

from quaver.bench.mosquitto import Mosquitto
from quaver.bridge import metrics, sparkplug_session
from quaver.bridge.run import Bridge
from quaver.bridge.spec import read_bridge
from quaver.broker import exactly_once, session
from quaver.cli import main
from quaver.cli.bridge import _sinks
from quaver.query.source import Reading, Source
from tests.waiting import wait_until

QUAVER = Path(sys.executable).with_name("quaver")
AT_BROKERS = ("mqtt", "home_assistant", "sparkplug")  # JSON and SenML are both of mqtt


class Mute:
    """A broker that takes a connection and its first subscription, and acknowledges nothing after that."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while head := stream.read(1):
                length, shift = 0, 0
                while True:
                    (byte,) = stream.read(1)
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                body, kind = stream.read(length), head[0] >> 4
                if kind == 1:  # CONNECT, whose level is behind the protocol's name
                    connection.sendall(b"\x20\x03\0\0\0" if body[6] == 5 else b"\x20\x02\0\0")
                    asked = False
                elif kind == 8 and not asked:  # SUBSCRIBE
                    connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
                    asked = True

    def close(self) -> None:
        self._server.close()


class Other:
    """A sink beside them, which takes everything."""

    name, batch = "other", 100

    def __init__(self) -> None:
        self.got: list[Reading] = []

    def connect(self, done: int) -> None:
        pass

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        self.got += readings
        note(done + len(readings))

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


class Hours(threading.Event):
    """Waiting takes no time, and is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s: Counter[str] = Counter()

    def wait(self, timeout: float | None = None) -> bool:
        self.passed_s[threading.current_thread().name.removeprefix("bridge ")] += timeout or 0  # type: ignore[assignment]
        return super().wait(0.02)


def write(bench: Bench, port: int, **keys: str) -> Path:
    path = bench.path.parent / "bridge.toml"
    more = "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
    broker = f'broker = "mqtt://127.0.0.1:{port}"\n{more}'
    path.write_text(
        f'store = "{bench.path}"\nbegin = "first"\n[mqtt]\n{broker}formats = ["json", "senml"]\nhome_assistant = "ha"\n'
        f"[sparkplug]\n{broker}"
    )
    return path


@contextmanager
def running(path: Path) -> Iterator[tuple[Bridge, Hours, Other, list[str]]]:
    spec, other, hours = read_bridge(path), Other(), Hours()
    said: list[str] = []
    bridge = Bridge(spec.store, spec.state, [*_sinks(spec, said.append), other], said.append, begin_now=False)
    bridge._stopping = hours
    bridge.start()
    try:
        yield bridge, hours, other, said
    finally:
        bridge.stop()


def waits(bridge: Bridge, bench: Bench) -> dict[str, int]:
    with Source(bench.path) as source:
        return {one.name: source.waiting(one.place) for one in bridge.progress}


def lines_of(said: Sequence[str]) -> dict[str, list[str]]:
    return {name: [line for line in said if line.startswith(f"{name}: ")] for name in AT_BROKERS}


def test_a_broker_that_acknowledges_nothing_is_told_and_holds_up_no_other(
    bench: Bench, pump: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exactly_once, "_ANSWER_S", 0.3)
    monkeypatch.setattr(sparkplug_session, "_SETTLE_S", 0.3)
    monkeypatch.setattr(session.Session, "put", partialmethod(session.Session.put, within_s=0.3))
    bench.take(pump.says("status"), *(pump.says(rms_g=0.5) for _ in range(99)), now=NOW_MS)
    broker = Mute()
    try:
        with running(write(bench, broker.port)) as (bridge, _, other, said):
            wait_until(lambda: len(other.got) == 100, what="the sink beside them")
            wait_until(lambda: all(lines_of(said).values()), what="a line of each")
            wait_until(lambda: all(one.failures >= 3 for one in bridge.progress[:3]), what="more attempts")
            assert waits(bridge, bench) == dict.fromkeys(AT_BROKERS, 100) | {"other": 0}
    finally:
        broker.close()
    for lines in lines_of(said).values():
        assert len(lines) == 1 and "0 s; " in lines[0] and "waits in the store" in lines[0], lines


def test_an_hour_without_its_broker_costs_nothing_but_the_time(
    bench: Bench,
    pump: Node,
    mosquitto: Mosquitto,
    listener: Listener,  # noqa: F811
) -> None:
    mosquitto.stop()
    bench.take(pump.says("status"), *(pump.says(rms_g=0.5) for _ in range(99)), now=NOW_MS)
    with running(write(bench, mosquitto.port)) as (bridge, hours, other, said):
        wait_until(lambda: all(hours.passed_s[name] > 1800 for name in AT_BROKERS), what="half an hour")
        bench.take(*(pump.says(rms_g=0.5) for _ in range(100)), now=NOW_MS)
        wait_until(lambda: all(hours.passed_s[name] > 3600 for name in AT_BROKERS), what="an hour")
        attempts = {one.name: one.failures / hours.passed_s[one.name] * 3600 for one in bridge.progress[:3]}
        assert max(attempts.values()) < 130, attempts  # every half a minute
        wait_until(lambda: len(other.got) == 200, what="the sink beside them")
        assert waits(bridge, bench) == dict.fromkeys(AT_BROKERS, 200) | {"other": 0}
        mosquitto.start()
        wait_until(lambda: not any(waits(bridge, bench).values()), what="all that waited")
        wait_until(lambda: len(listener.of("pump-7/telemetry")) == 199, what="the open messages")
    for name, lines in lines_of(said).items():
        assert len(lines) == 2 and "waits in the store" in lines[0], lines
        assert lines[1] == f"{name}: connected again; 200 records waited"
    # each once; the broker's order is its own to a listener that comes back while they come
    assert sorted(one["seq"] for one in listener.of("pump-7/telemetry")) == list(range(1, 200))


def test_a_broker_that_refuses_the_login_is_told_and_holds_up_no_other(
    bench: Bench, pump: Node, tmp_path: Path
) -> None:
    (tmp_path / "passwords").write_text("bridge:right\n")
    run(["mosquitto_passwd", "-U", tmp_path / "passwords"], check=True)
    login = tmp_path / "bridge.login"
    login.write_text("bridge:wrong")
    login.chmod(0o600)
    bench.take(pump.says("status"), pump.says(rms_g=0.5), now=NOW_MS)
    with Mosquitto(tmp_path / "strict", f"allow_anonymous false\npassword_file {tmp_path}/passwords") as broker:
        path = write(bench, broker.port, login_file="bridge.login")
        with running(path) as (bridge, _, other, said):
            wait_until(lambda: len(other.got) == 2, what="the sink beside them")
            wait_until(lambda: all(lines_of(said).values()), what="a line of each")
            expected = dict.fromkeys(AT_BROKERS, 2) | {"other": 0}
            wait_until(lambda: waits(bridge, bench) == expected, what="the place of the sink beside them")
        for (line,) in lines_of(said).values():
            assert "refused the connection: " in line and "check the" in line and "wrong" not in line, line
        login.write_text("bridge:right")
        assert main(["bridge", "run", str(path), "--until-done"]) == 0


def test_a_state_that_does_not_fit_on_the_disk_ends_in_a_line_and_loses_nothing(
    bench: Bench,
    pump: Node,
    mosquitto: Mosquitto,
    listener: Listener,  # noqa: F811
    tmp_path: Path,
) -> None:
    bench.take(*(pump.says(rms_g=0.5) for _ in range(600)), now=NOW_MS)
    path = tmp_path / "bridge.toml"
    path.write_text(f'store = "{bench.path}"\nbegin = "first"\n[mqtt]\nbroker = "mqtt://127.0.0.1:{mosquitto.port}"\n')
    full = f"ulimit -f 64; exec {QUAVER} bridge run {path} --until-done"  # blocks of 1 kB a file
    ended = run(["bash", "-c", full], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 26
    _, line = ended.stderr.splitlines()  # the first says that it began
    assert "bridge.sqlite: " in line and "free disk space" in line
    assert 0 < len(listener.of("pump-7/telemetry")) < 600
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: len(listener.of("pump-7/telemetry")) == 600, what="all records")
    assert [one["seq"] for one in listener.of("pump-7/telemetry")] == list(range(600))


@pytest.mark.parametrize(
    ("what", "of"),  # of the lake's own state, its manifest: test_lake.py
    [("bridge", "store"), ("bridge", "state"), ("diode", "store"), ("diode", "state"), ("lake", "store")],
)
def test_what_a_later_version_wrote_is_refused_in_a_line(
    what: str,
    of: str,
    bench: Bench,
    key: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, medium = write(bench, 9), tmp_path / "medium"
    medium.mkdir()
    commands = {
        "bridge": ["bridge", "run", str(path)],
        "diode": ["diode", "send", "--store", str(bench.path), "--key", str(key), "--folder", str(medium)],
        "lake": ["export", "--store", str(bench.path), "--parquet", str(tmp_path / "lake")],
    }
    file = bench.path if of == "store" else tmp_path / f"{what}.sqlite"
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA user_version = 99")
    file.chmod(0o600)
    line = [*commands[what], *(["--state", str(tmp_path / "diode.sqlite")] if what == "diode" else [])]
    capsys.readouterr()
    assert main(line) not in (0, 1, 2, 70)
    said = capsys.readouterr().err
    assert "is of version 99, this quaver reads" in said and "update quaver" in said and said.count("\n") == 1, said


def test_who_asks_for_metrics_and_does_not_go_on_holds_up_no_other(
    bench: Bench, pump: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_SCRAPE_S", 0.5)
    bench.take(pump.says(rms_g=0.5), now=NOW_MS)
    server, _ = metrics.serve("127.0.0.1:0", metrics.Collector(bench.path, []))
    try:
        idle = [socket.create_connection(server.server_address, 20) for _ in range(5)]
        for one in idle[1:]:
            one.sendall(b"GET /metrics HTTP/1.1\r\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=20) as answer:
            assert b"quaver_store_up 1.0" in answer.read()
        assert [one.recv(1) for one in idle] == [b""] * 5  # each is given up
    finally:
        server.shutdown()
        server.server_close()
