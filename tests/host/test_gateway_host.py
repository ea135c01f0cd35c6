"""The gateway of a host hands out no date that it has no reason to trust, fights nobody, and waits for its file."""

import asyncio
import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quaver.broker.address import BrokerUrl
from quaver.errors import StoreBusy
from quaver.gateway.collector import Collector
from quaver.gateway.contents import Contents
from quaver.gateway.date import TrustedDate
from quaver.gateway.forward import Forward
from quaver.gateway.health import Health
from quaver.gateway.links import LinkKeys
from quaver.gateway.own import Identity
from quaver.gateway.spool import Spool
from quaver.messages.sealing import Opened
from quaver.system import clock
from quaver.system.clock import Reading

NOW = 1_790_000_000_000  # ms since 1970
HOUR_MS = 3_600_000
NODE = bytes(range(8))


class Machine:
    """A machine whose date is off by off_ms, and whose clock a time server keeps or not."""

    def __init__(self) -> None:
        self.uptime_ms = 0
        self.off_ms = 0
        self.vouched = False
        self.lines: list[str] = []

    def date(self, trust: bool = False) -> TrustedDate:
        return TrustedDate(
            self.lines.append,
            trust,
            read=lambda: Reading(NOW + self.uptime_ms + self.off_ms, self.uptime_ms),
            vouched=lambda _date_ms: self.vouched,
            seconds=lambda: self.uptime_ms / 1000,
        )


def test_no_date_without_a_reason_and_one_as_soon_as_there_is() -> None:
    machine = Machine()
    machine.off_ms = -NOW
    date = machine.date()
    assert date.unix_ms() == 0
    assert len(machine.lines) == 1 and "is not set by a time server; start a time service (NTP)" in machine.lines[0]
    machine.uptime_ms, machine.off_ms, machine.vouched = 60_000, 0, True
    assert date.unix_ms() == NOW + 60_000
    assert machine.lines[1:] == ["nodes get the date from this machine's clock: a time server sets it"]
    machine.uptime_ms, machine.vouched = 40 * HOUR_MS, False  # the network is away: the clock runs on as it was
    assert date.unix_ms() == NOW + 40 * HOUR_MS
    machine.off_ms = 8 * HOUR_MS  # and now somebody sets it
    assert date.unix_ms() == 0
    assert "was set by an unknown program" in machine.lines[-1] and len(machine.lines) == 3


def test_a_persons_word_is_of_the_clock_as_it_is() -> None:
    machine = Machine()
    date = machine.date(trust=True)
    assert date.unix_ms() == NOW
    machine.off_ms = -400 * 24 * HOUR_MS
    assert date.unix_ms() == 0
    machine.uptime_ms, machine.vouched, machine.off_ms = 60_000, True, 0
    assert date.unix_ms() == NOW + 60_000
    assert Machine().date(trust=True).unix_ms() == NOW
    machine = Machine()
    machine.off_ms = -NOW
    assert machine.date(trust=True).unix_ms() == 0, "1970 is not right, whoever says so"


def test_this_machines_clocks() -> None:
    one, other = clock.read(), clock.read()
    assert one.uptime_ms <= other.uptime_ms and abs(one.offset_ms - other.offset_ms) <= 1000
    assert one.plausible and clock.boot_id()
    assert clock.vouched(one.date_ms - 10 * HOUR_MS) is False  # the kernel vouches for its own date alone


@pytest.mark.parametrize("known", [True, False])
def test_its_records_bear_a_date_only_when_there_is_one(tmp_path: Path, known: bool) -> None:
    key = bytes(32)

    async def says() -> dict[str, bytes]:
        with Spool(tmp_path / "spool") as spool:
            collector = Collector([NODE], LinkKeys("gw", []), spool, lambda: 0, lambda line: None)
            health = Health(Identity(NODE, "a/b/c/d/gw", 1, key), collector, spool, lambda: NOW if known else 0)
            health.tell()
            return {"telemetry": spool.first(1, [NODE])[0].message, "status": health.status("online")}

    sealed = asyncio.run(says())
    for message_class, message in sealed.items():
        assert opened(key, message_class, message).record.get("time_ms") == (NOW if known else None)


def opened(key: bytes, message_class: str, message: bytes) -> Opened:
    from quaver.messages.sealing import Opener

    class Keys:
        def device_keys(self, _node_id: bytes) -> dict[int, bytes]:
            return {1: key}

    return Opener(Keys()).open(message_class, message)


def test_a_copy_of_its_file_has_a_session_of_its_own_and_seals_nothing(tmp_path: Path) -> None:
    path, copy = tmp_path / "spool", tmp_path / "copy"
    with Spool(path) as spool:
        before = spool.client_id
        assert not spool.copied
    copy.write_bytes(path.read_bytes())
    for _ in range(2):
        with Spool(copy) as spool:
            assert spool.copied and spool.client_id != before
    with Spool(path) as spool:
        assert not spool.copied and spool.client_id == before


def test_a_file_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.gateway.spool._BUSY_S", 0)
    with Spool(tmp_path / "spool") as spool:
        other = sqlite3.connect(spool.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="has locked it"):
            spool.put(NODE, "event", b"x")
        with pytest.raises(StoreBusy, match="has locked it"):
            spool.done([1])
        other.execute("ROLLBACK")
        spool.put(NODE, "event", b"x")
        assert len(spool) == 1
        other.close()


def test_a_held_file_leaves_no_gap_in_what_it_tells_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.gateway.spool._BUSY_S", 0)
    monkeypatch.setattr("quaver.gateway.own._BUSY_S", 0)
    key = bytes(32)

    async def tells() -> list[bytes]:
        with Spool(tmp_path / "spool") as spool:
            collector = Collector([NODE], LinkKeys("gw", []), spool, lambda: 0, lambda line: None)
            health = Health(Identity(NODE, "a/b/c/d/gw", 1, key), collector, spool, lambda: 0, 0)
            other = sqlite3.connect(spool.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(health.run())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not task.done() and len(spool) == 0
            other.execute("ROLLBACK")
            other.close()
            while len(spool) < 3:
                await asyncio.sleep(0)
            task.cancel()
            return [record.message for record in spool.first(3, [NODE])]

    found = asyncio.run(tells())
    opened_ = [
        opened(key, message_class, message)
        for message_class, message in zip(("event", "telemetry", "telemetry"), found, strict=True)
    ]
    assert [one.seq for one in opened_] == [0, 1, 2]


def test_two_gateways_with_one_session_do_not_fight(mosquitto: Any, tmp_path: Path) -> None:
    """Whoever is thrown out twice stays away, so that it is told."""
    import threading

    lines: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        if "taken over" in line:
            told.set()

    url = BrokerUrl("127.0.0.1", mosquitto.port)
    for name in ("one", "other"):
        Spool(tmp_path / name).close()
    with sqlite3.connect(tmp_path / "one") as db, sqlite3.connect(tmp_path / "other") as twin:
        (client_id,) = db.execute("SELECT value FROM meta WHERE name = 'client_id'").fetchone()
        twin.execute("UPDATE meta SET value = ? WHERE name = 'client_id'", (client_id,))
    db.close()
    twin.close()
    with (
        Spool(tmp_path / "one") as one,
        Spool(tmp_path / "other") as other,
        Forward(url, one, {NODE: "a/b/c/d/n"}, say),
        Forward(url, other, {NODE: "a/b/c/d/n"}, say),
    ):
        assert told.wait(60)
    [line, *_] = [line for line in lines if "taken over" in line]
    assert f"another gateway connects as {client_id}; stop one of the two" in line


def test_the_command_says_where_the_date_comes_from_and_refuses_to_seal_from_a_copy(tmp_path: Path) -> None:
    path, copy = tmp_path / "spool", tmp_path / "copy"
    Spool(path).close()
    copy.write_bytes(path.read_bytes())
    (tmp_path / "nodes.json").write_text('{"0001020304050607": "a/b/c/d/n"}')
    from quaver.fleet.keys import KeyStore

    KeyStore(tmp_path / "keys").create(bytes(8), "gw")
    command = [sys.executable, "-m", "quaver.cli", "gateway", "--broker", "127.0.0.1:9", "--store", str(copy)]
    command += ["--nodes", str(tmp_path / "nodes.json"), "--keys", str(tmp_path / "keys"), "--trust-clock"]
    done = subprocess.run([*command, "--place", "a/b/c/d/gw"], capture_output=True, text=True, timeout=60)
    assert (
        done.returncode != 0
        and "would seal messages with the same numbers; name a new file with --store" in done.stderr
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "is a copy: its session at the broker is a new one" in done.stderr
    assert "nodes get the date from this machine's clock: --trust-clock says that it is right" in done.stderr, (
        done.stderr
    )
    assert done.returncode != 0 and "Bluetooth can't be used" in done.stderr


def test_chunks_of_a_release_are_asked_for_once_and_again_when_they_are_wrong(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9
    digest = hashlib.sha256(content).digest()[:8]
    at_the_broker = [content[at : at + 1024] for at in range(0, len(content), 1024)]
    asked: list[str] = []

    async def ask(topic: str) -> bytes:
        asked.append(topic)
        return at_the_broker[int(topic.rpartition("/")[2])]

    async def whole(contents: Contents) -> bool:
        return b"".join([await contents.chunk(NODE, digest, number) or b"" for number in range(3)]) == content

    async def story() -> None:
        with Spool(tmp_path / "spool") as spool:
            contents = Contents(spool, {NODE: "plant/a/b/c/n1"})
            assert await contents.chunk(NODE, digest, 0) is None
            contents.ask = ask
            assert await whole(contents) and asked == [f"plant/release/{digest.hex()}/{n}" for n in range(3)]
        with Spool(tmp_path / "spool") as spool:
            contents = Contents(spool, {NODE: "plant/a/b/c/n1"})
            assert await whole(contents) and await whole(contents) and len(asked) == 3
            spool.keep(digest, 1, bytes(1024))
            assert not await whole(Contents(spool, {NODE: ""}))
            contents.ask = ask
            assert await whole(contents) and len(asked) == 6

    asyncio.run(story())
