"""One way: what a lossy network and a medium do to bundles, and what the ledger beyond says of it."""

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from fleet import Node
from test_ingest import Bench

from quaver.cli import main
from quaver.diode.bundle import VERSION, read_key
from quaver.diode.send import Folder, Sending
from quaver.diode.udp import Receiver
from quaver.errors import DiodeError
from quaver.store.ledger import ledger
from quaver.store.location import Location, open_records
from tests.waiting import PATIENCE_S, wait_until

RECORD = "SELECT n.id, boot, seq, class, tag, received_ms, uptime_ms, time_ms, body FROM record r JOIN node n ON n.number = r.node ORDER BY 1, 2, 3"  # noqa: E501


class Relay:
    """A network of one way: loses a tenth, doubles and reorders others, and loses all of the bundle `lost`."""

    def __init__(self, to: int, lost: int | None) -> None:
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.bind(("127.0.0.1", 0))
        self._in.settimeout(0.1)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to = ("127.0.0.1", to)
        self._lost = lost
        self._stop = threading.Event()
        self.dropped = 0
        self.port = self._in.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        chance, seen, held = random.Random(7), [], b""
        while not self._stop.is_set():
            try:
                datagram = self._in.recv(2048)
            except TimeoutError:
                continue
            bundle = datagram[4:12]
            if bundle not in seen:
                seen.append(bundle)
            if seen.index(bundle) == self._lost or chance.random() < 0.1:
                self.dropped += 1
                continue
            if chance.random() < 0.1 and not held:
                held = datagram
                continue
            for one in (datagram, held, datagram if chance.random() < 0.1 else b""):
                if one:
                    self._out.sendto(one, self._to)
            held = b""

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._in.close()
        self._out.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "diode.key"
    assert main(["diode", "key", str(path)]) == 0
    return path


def send(bench: Bench, key: Path, *more: str) -> int:
    state = str(key.parent / "near.sqlite")
    return main(
        ["diode", "send", "--store", str(bench.path), "--key", str(key), "--state", state, "--until-done", *more]
    )


def receive(tmp_path: Path, key: Path, *more: str) -> list[str]:
    return [
        *("diode", "receive", "--store", str(tmp_path / "far.sqlite"), "--from", f"{key}.pub"),
        *("--state", str(tmp_path / "far-state.sqlite"), *more),
    ]


@contextmanager
def listening(tmp_path: Path, key: Path) -> Iterator[tuple[int, list[str]]]:
    """The far side in a process of its own: its port, and what it has said when it has ended."""
    command = [sys.executable, "-m", "quaver.cli", *receive(tmp_path, key, "--udp", "127.0.0.1:0")]
    said: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert "listening at 127.0.0.1:" in line, line
            yield int(line.rpartition(":")[2]), said
        finally:
            process.send_signal(signal.SIGINT)
            said += process.stderr.read().splitlines()
            assert process.wait(PATIENCE_S) == 0


def count(path: Location) -> int:
    with open_records(path, write=False) as store:
        return int(store.query("SELECT count(*) FROM record")[0][0])


def unexplained(path: Location) -> int:
    with open_records(path, write=False) as store:
        return sum(account.unexplained for account in ledger(store)[0])


def rows(path: Location) -> list[tuple[object, ...]]:
    with open_records(path, write=False) as store:
        return store.query(RECORD)


def fill(bench: Bench, pump: Node, number: int) -> None:
    bench.take(*(pump.says(rms_g=0.001 * n, temperature_c=20.5, uptime_ms=1000 * n) for n in range(number)))


def test_a_lossy_way_is_made_good_and_a_lost_bundle_shows_in_the_ledger(
    bench: Bench, pump: Node, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(bench, pump, 1000)
    far = tmp_path / "far.sqlite"
    with listening(tmp_path, key) as (port, said):
        with Relay(port, lost=2) as relay:
            assert send(bench, key, "--udp", f"127.0.0.1:{relay.port}", "--rate", "200") == 0
            wait_until(lambda: count(far) == 800, what="four bundles of five")
            assert relay.dropped > 0
        assert unexplained(far) == 200 and unexplained(bench.path) == 0
        with Relay(port, lost=None) as relay:  # a person has it sent again
            assert send(bench, key, "--udp", f"127.0.0.1:{relay.port}", "--rate", "200", "--again") == 0
            wait_until(lambda: count(far) == 1000, what="the rest")
        assert unexplained(far) == 0
    assert any("bundle 2 of" in line and "has not come" in line for line in said), said
    assert rows(far) == rows(bench.path)
    with open_records(far, write=False) as store:
        assert not store.query("SELECT * FROM security_event")
    capsys.readouterr()
    state = str(tmp_path / "far-state.sqlite")
    assert main(["diode", "status", "--state", state]) == 1
    assert "9 of 10 bundles; 1 missing: 2" in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_medium_carries_what_is_new_and_a_forged_bundle_is_not_used(
    bench: Bench, pump: Node, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    medium, far = tmp_path / "medium", tmp_path / "far.sqlite"
    medium.mkdir()
    bench.take(pump.says("status"), pump.boots(oldest_boot=1))
    fill(bench, pump, 450)
    assert send(bench, key, "--folder", str(medium)) == 0
    bundles = sorted(medium.iterdir())
    assert len(bundles) == 3 and all(b"pump-7" not in one.read_bytes() for one in bundles)
    changed = bytearray(bundles[1].read_bytes())
    changed[-20] ^= 1
    whole = bundles[1].read_bytes()
    bundles[1].write_bytes(changed)
    other = tmp_path / "other.key"
    assert main(["diode", "key", str(other)]) == 0
    state = str(tmp_path / "other-state.sqlite")
    forged = tmp_path / "forged"
    forged.mkdir()
    line = ["diode", "send", "--store", str(bench.path), "--key", str(other), "--folder", str(forged)]
    assert main([*line, "--state", state, "--until-done"]) == 0
    (medium / "zz-forged.bundle").write_bytes(next(forged.iterdir()).read_bytes())
    (medium / "zz-later.bundle").write_bytes(whole[:8] + bytes([VERSION + 1]) + whole[9:])
    (medium / "zz-cut.bundle").write_bytes(whole[: len(whole) // 2])
    (medium / "zz-odd.bundle").write_bytes(b"no bundle")
    capsys.readouterr()
    assert main(receive(tmp_path, key, "--folder", str(medium))) == 1
    said = capsys.readouterr().err
    assert f"{bundles[1].name}: is not signed by the key" in said and "zz-forged.bundle: is not signed" in said
    assert f"zz-later.bundle: is of version {VERSION + 1}" in said and "zz-odd.bundle: is no bundle" in said
    assert "zz-cut.bundle: is not signed" in said and "5 refused" in said
    assert count(far) == 252 and unexplained(far) == 200
    for one in medium.glob("zz-*"):
        one.unlink()
    bundles[1].write_bytes(whole)
    assert main(receive(tmp_path, key, "--folder", str(medium))) == 0
    assert unexplained(far) == 0 and rows(far) == rows(bench.path)
    fill(bench, pump, 10)
    before = set(medium.iterdir())
    assert send(bench, key, "--folder", str(medium)) == 0
    assert len(set(medium.iterdir()) - before) == 1  # what is new alone
    assert main(receive(tmp_path, key, "--folder", str(medium))) == 0
    assert rows(far) == rows(bench.path)
    assert main(["diode", "status", "--state", str(tmp_path / "far-state.sqlite")]) == 0


DYING = """
import os, signal, sys
from pathlib import Path
from quaver.cli import main
from quaver.diode import send, udp

left = int(sys.argv[2])

def dying(function):
    def die(*args):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return die

where, name = {"file": (Path, "replace"), "state": (send.State, "put"), "datagram": (udp.Sender, "_send")}[sys.argv[1]]
setattr(where, name, dying(getattr(where, name)))
main(sys.argv[3:])
"""


@pytest.mark.parametrize(
    ("way", "moment", "after", "came"),
    [
        ("medium", "file", 1, 200),  # a bundle is written aside, and not yet in place
        ("medium", "state", 2, 400),  # a bundle is there, and the place in the state file not yet
        ("udp", "datagram", 12, 200),  # the first bundle is 10 or 11, and 2 are too few for the second
        ("udp", "state", 2, 400),
    ],
)
def test_a_sender_that_is_killed_in_the_middle_goes_on_without_loss_or_doubles(
    way: str, moment: str, after: int, came: int, bench: Bench, pump: Node, key: Path, tmp_path: Path
) -> None:
    fill(bench, pump, 500)
    medium, far = tmp_path / "medium", tmp_path / "far.sqlite"
    medium.mkdir()

    def both(*to: str, arrive: Callable[[int], None]) -> None:
        command = ["diode", "send", "--store", str(bench.path), "--key", str(key), "--state"]
        command += [str(tmp_path / "near.sqlite"), *to]
        killed = subprocess.run([sys.executable, "-c", DYING, moment, str(after), *command], timeout=PATIENCE_S)
        assert killed.returncode == -signal.SIGKILL
        arrive(came)
        fill(bench, pump, 30)  # so that the bundle that is sent again holds others than before
        assert send(bench, key, *to) == 0
        arrive(530)

    if way == "medium":

        def read_medium(number: int) -> None:
            assert main(receive(tmp_path, key, "--folder", str(medium))) == 0
            assert count(far) == number

        both("--folder", str(medium), arrive=read_medium)
        assert not [one for one in medium.iterdir() if one.suffix != ".bundle"]
    else:
        with listening(tmp_path, key) as (port, said):
            hears = partial(wait_until, what="the records")
            both("--udp", f"127.0.0.1:{port}", "--rate", "200", arrive=lambda n: hears(lambda: count(far) == n))
        assert "530 new records" in said[-1] and "0 refused" in said[-1]
    assert rows(far) == rows(bench.path) and unexplained(far) == 0
    assert main(["diode", "status", "--state", str(tmp_path / "far-state.sqlite")]) == 0


def test_a_full_medium_is_told_once_and_goes_on_when_there_is_room(
    bench: Bench, pump: Node, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    fill(bench, pump, 450)
    medium = tmp_path / "medium"
    medium.mkdir()
    room, fsync = 1, os.fsync

    def on_the_medium(descriptor: int) -> None:
        nonlocal room
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
            room -= 1
            if room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", on_the_medium)
    assert send(bench, key, "--folder", str(medium)) == 29
    assert "No space left on device); free space on the medium" in capsys.readouterr().err
    assert [one.suffix for one in medium.iterdir()] == [".bundle"]
    waits: list[float] = []
    said: list[str] = []

    def wait(seconds: float) -> None:
        nonlocal room
        waits.append(seconds)
        if len(waits) == 720:  # an hour
            room = 9
        if len(waits) == 722:
            raise KeyboardInterrupt

    state = tmp_path / "near.sqlite"
    sending = Sending(bench.path, state, Folder(medium), read_key(key), begin_first=True)
    with closing(sending), pytest.raises(KeyboardInterrupt):
        sending.follow(lambda records: None, said.append, wait)
    assert sum(waits) >= 3600 and len(said) == 2 and "it is tried again" in said[0] and "again" in said[1]
    assert main(receive(tmp_path, key, "--folder", str(medium))) == 0
    assert rows(tmp_path / "far.sqlite") == rows(bench.path)


def test_nothing_goes_back_and_nothing_foreign_is_kept(key: Path) -> None:
    """Whatever comes, the receiver answers nothing, and its memory is bounded."""
    receiver = Receiver("127.0.0.1:0")
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.settimeout(0.5)
    chance = random.Random(3)
    found = receiver.bundles()
    for number in range(300):
        head = b"QVD1" + number.to_bytes(8, "big") + (5000).to_bytes(4, "big")
        datagram = [
            head + chance.randbytes(1204),
            b"QVD1",
            chance.randbytes(900),
            head[:-4] + b"\xff" * 4 + bytes(1204),
        ]
        stranger.sendto(datagram[number % 4], ("127.0.0.1", int(receiver.address.rpartition(":")[2])))
        assert next(found) is None
    assert len(receiver._open) <= 32
    with pytest.raises(TimeoutError):
        stranger.recv(1)
    receiver.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["send", "--udp", "127.0.0.1"], "expected host:port"),
        (["send", "--udp", "no.such.host.invalid:9"], "can't be sent to"),
        (["send", "--folder", "none"], "is no folder; mount the medium"),
        (["send", "--folder", ".", "--key", "none"], "there is no such key; make one with: quaver diode key"),
        (["send", "--folder", ".", "--store", "none.sqlite"], "there is no such store"),
        (["receive", "--udp", "192.0.2.1:9"], "name another address:port"),
        (["receive", "--folder", "none"], "is no folder"),
        (["receive", "--folder", ".", "--from", "none.pub"], "name the .pub file of the sender's key"),
        (["receive", "--folder", ".", "--from", "store.sqlite"], "is no public key"),
        (["status", "--state", "none"], "quaver diode receive writes it"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    line: list[str],
    words: str,
    bench: Bench,
    key: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    verb, *rest = line
    usual = {"send": ["--store", "store.sqlite", "--key", str(key), "--until-done"],
             "receive": ["--store", "far.sqlite", "--from", f"{key}.pub"], "status": []}[verb]  # fmt: skip
    assert main(["diode", verb, *usual, *rest]) not in (0, 1, 2, 70)
    said = capsys.readouterr().err.splitlines()
    assert words in said[0] and len(said) == 1, said


def test_a_key_is_private_and_replaces_none(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    assert main(["diode", "key", str(key)]) == 29
    key.with_name("diode.key.pub").unlink()
    with pytest.raises(DiodeError, match="exists"):
        from quaver.diode.bundle import create_key

        create_key(key)
    key.chmod(0o644)
    assert main(["diode", "send", "--store", "x", "--key", str(key), "--folder", str(key.parent)]) == 29
    assert "other users can read it" in capsys.readouterr().err
