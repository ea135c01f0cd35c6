"""`quaver serve`: what it refuses, that it serves, and that it ends in order."""

import datetime
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fleet import Node, publish
from test_ingest import Bench

from quaver.access.access import Access
from quaver.bench.mosquitto import Mosquitto
from quaver.cli import main
from quaver.fleet.keys import KeyStore
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

QUAVER = Path(sys.executable).with_name("quaver")
PASSWORD = "correct horse battery"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = tmp_path / "page.pem", tmp_path / "page.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line by which a command fails."""
    assert main(list(words)) not in (0, 70)
    (line,) = capsys.readouterr().err.splitlines()
    return line


class Page:
    """A running `quaver serve`."""

    def __init__(self, *words: str, **more: str) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [QUAVER, "serve", "--port", "0", *words], stderr=subprocess.PIPE, text=True, env={**os.environ, **more}
        )
        self.address = self.heard(r"at (https?://\S+)")

    def heard(self, pattern: str) -> str:
        """What it says on standard error, up to a line that has `pattern`."""
        assert self.process.stderr is not None
        while not (found := re.search(pattern, self.said)):
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        return found[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        self.said += rest or ""
        return self.process.returncode


@pytest.fixture
def serve() -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def start(*words: Any, **more: str) -> Page:
        pages.append(Page(*map(str, words), **more))
        return pages[-1]

    yield start
    for page in pages:
        if page.process.poll() is None:
            page.end()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "--demo"),
        ("--store none.sqlite", "no such store"),
        ("--demo --store none.sqlite", "--demo brings"),
        ("--store none.sqlite --tls-cert x.pem", "go together"),
        ("--store none.sqlite --tls-cert x.pem --tls-key x.key", "x.pem: can't be read"),
        ("--store none.sqlite --tls-cert pyproject.toml --tls-key pyproject.toml", "are no certificate"),
        ("--store none.sqlite --host 0.0.0.0", "--tls-cert"),
        ("--store none.sqlite --host 203.0.113.1 --insecure-network", "no address of this machine"),
        ("--store none.sqlite --host no.such.name.invalid --insecure-network", "no.such.name.invalid"),
        ("--store none.sqlite --zone Moon/Crater", "no time zone"),
        ("--store none.sqlite --keys x", "--broker"),
        ("--store none.sqlite --plan none.toml", "none.toml"),
        ("--store none.sqlite --reports none.toml", "none.toml"),
        ("--store none.sqlite --openid none.toml", "none.toml"),
        ("--store none.sqlite --syslog-ca none.pem", "--syslog"),
        ("--store pyproject.toml", "pyproject.toml"),
    ],
)
def test_what_can_not_be_served_is_refused_in_one_line(
    words: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["serve", *words.split(), "--port", "0"]
    if "--demo" not in words:
        arguments += ["--state", str(tmp_path / "page")]
    assert line in refused(capsys, *arguments)


def test_a_port_in_use_and_a_store_that_is_open_are_told(
    bench: Bench, pump: Node, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bench.take(pump.says())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = refused(capsys, "serve", "--store", str(bench.path), "--port", port, "--state", str(tmp_path / "page"))
    assert "another program listens there" in line and port in line


def test_it_serves_a_store_to_its_first_admin_and_ends_in_order(
    bench: Bench, pump: Node, serve: Callable[..., Page], tmp_path: Path
) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5))
    state = tmp_path / "page"
    page = serve("--store", bench.path, "--state", state, "--zone", "Europe/Berlin", "--name", "Works")
    link = page.heard(r"#/first/(\S+)")
    with httpx.Client(base_url=page.address, timeout=60) as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/v1/plant").status_code == 401
        made = client.post("/api/v1/first", json={"link": link, "name": "ada", "password": PASSWORD})
        assert made.status_code == 200, made.text
        plant = client.get("/api/v1/plant").json()
        assert (plant["name"], plant["zone"], plant["nodes"][0]["name"]) == ("Works", "Europe/Berlin", "pump-7")
        with client.stream("GET", "/api/v1/live") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            bench.take(pump.says("event", code=EVENTS.index("level"), event_level=2, subject="rms", value=0.9))
            assert any(line == "event: alarm" for line in lines)
            with httpx.Client(base_url=page.address, timeout=60) as other:
                me = other.post("/api/v1/session", json={"name": "ada", "password": PASSWORD}).json()
                with other.stream("GET", "/api/v1/live") as its:
                    rest = its.iter_lines()
                    next(rest)
                    with httpx.Client(base_url=page.address, cookies=other.cookies) as tab:
                        tab.delete("/api/v1/session", headers={"x-csrf-token": me["csrf"]})
                    assert len(list(rest)) < 1000, "the stream ends with its session"
            assert page.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert not re.search("Traceback|rror|Cancel", page.said), page.said  # no stream had to be cut off
    assert {path.name for path in state.iterdir()} >= {"access.sqlite", "alarms.sqlite", "rollups.sqlite"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir() if path.suffix == ".sqlite")


def test_it_serves_over_tls(
    bench: Bench, pump: Node, serve: Callable[..., Page], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    bench.take(pump.says())
    page = serve(
        "--store", bench.path, "--state", tmp_path / "page", "--tls-cert", certificate[0], "--tls-key", certificate[1]
    )
    assert page.address.startswith("https://")
    answer = httpx.get(page.address + "/", verify=False, timeout=60)
    assert answer.status_code == 200 and "strict-transport-security" in answer.headers
    assert page.end(signal.SIGINT) == 0
    assert not re.search("Traceback|rror|Cancel", page.said), page.said


def test_with_a_broker_it_runs_the_ingest_and_starts_it_again(
    keys: KeyStore, pump: Node, serve: Callable[..., Page], tmp_path: Path, start_mosquitto: Callable[..., Mosquitto]
) -> None:
    store = tmp_path / "own.sqlite"
    mosquitto = start_mosquitto("allow_anonymous true\nlog_type all")
    broker = f"mqtt://127.0.0.1:{mosquitto.port}"
    words = ("--store", store, "--state", tmp_path / "page", "--broker", "--keys", keys.path.parent)
    page = serve(*words, QUAVER_BROKER=broker)
    with Access(tmp_path / "page") as access:
        token, _ = access.tokens.make(_admin(access), "test", ["read"], 1)
    headers = {"authorization": f"Bearer {token}"}

    def nodes() -> list[str]:
        return [row["name"] for row in httpx.get(f"{page.address}/api/v1/plant", headers=headers).json()["nodes"]]

    assert nodes() == []
    # From its subscription on the broker keeps for it what comes while it is away.
    wait_until(lambda: "Sending SUBACK" in mosquitto.said)
    (ingest,) = children(page.process.pid)
    os.kill(ingest, signal.SIGKILL)
    page.heard(r"(ingest ended)")
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal())])
    wait_until(lambda: nodes() == ["pump-7"])
    page.end()
    wait_until(lambda: not children(page.process.pid))


def _admin(access: Access) -> Any:
    from quaver.access.roles import ROLES
    from quaver.serve.endpoints import Who

    access.users.add("ada", "admin", PASSWORD, by="test")
    return Who("ada", "admin", frozenset(ROLES["admin"]))


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.slowest
@pytest.mark.long
def test_the_demo_is_full_of_life_and_leaves_nothing(serve: Callable[..., Page], tmp_path: Path) -> None:
    page = serve("--demo", TMPDIR=str(tmp_path))
    password = page.heard(r"password (\S+)")
    with httpx.Client(base_url=page.address, timeout=60) as client:
        assert client.post("/api/v1/session", json={"name": "demo", "password": password}).status_code == 200

        def nodes() -> dict[str, Any]:
            return {row["name"]: row for row in client.get("/api/v1/plant").json()["nodes"]}

        wait_until(lambda: len(nodes()) == 8)
        fan = nodes()["fan"]["node"]
        with client.stream("GET", "/api/v1/live") as live:  # says when it is worth to ask
            heard = (line for line in live.iter_lines() if fan in line)
            assert any(nodes()["fan"]["level"] != "ok" for _ in heard)
        assert nodes()["pump-1"]["state"] == "online" and nodes()["office"]["role"] == "gateway"
    page.end()
    assert not list(tmp_path.glob("quaver-demo-*")) and not children(page.process.pid)


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(option in told for option in ("--store", "--state", "--tls-cert", "--broker", "--demo"))
