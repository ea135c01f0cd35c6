"""What comes is stored once, dated, or refused for a named reason; and nothing that was acknowledged is lost."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fleet import HOUR_MS, PLACE, Node, encoded, publish

from quaver.bench.ports import free_port
from quaver.broker.address import BrokerUrl
from quaver.broker.link import LinkLost
from quaver.broker.reader import Message, MqttSession
from quaver.broker.rivalry import Rivalry
from quaver.errors import StoreError
from quaver.fleet.inventory import Entry, Inventory
from quaver.fleet.keys import KeyStore
from quaver.ingest.intake import PlainToo
from quaver.ingest.run import TOPICS, Endings, intake_of, names
from quaver.messages.sealing import Opener, Sealer
from quaver.query.health import expiring
from quaver.query.source import Source
from quaver.store.ledger import ledger
from quaver.store.location import Location, open_records
from quaver.store.rows import RESEND_WINDOW
from quaver.store.store import EVENTS_MAX, Store
from quaver_wire.fields import VERSION

PUMP = bytes.fromhex("e6614c311b7e6f25")
FAN = bytes.fromhex("0000aabbccddeeff")
NOW = 1_790_000_000_000  # ms since the epoch
WAIT_S = 20.0


class Bench:
    """An intake over a store, and what it said."""

    def __init__(self, location: Location, keys: KeyStore, worker: str = "") -> None:
        self.keys = keys
        self.worker = worker
        self.path = location
        self.lines: list[str] = []
        self.start()

    def start(self) -> None:
        self.store = open_records(self.path, worker=self.worker)
        self.intake = intake_of(self.store, Opener(self.keys), names(self.keys), self.lines.append)

    def restart(self) -> None:
        self.store.close()
        self.start()

    def take(self, *messages: Message, now: int = NOW) -> None:
        self.intake.take(messages, now)
        self.intake.commit(now)

    def numbers(self) -> list[tuple[int, int]]:
        return self.store.query("SELECT boot, seq FROM record ORDER BY boot, seq")  # type: ignore[return-value]

    def refused(self) -> dict[tuple[str, str], int]:
        return {(n, r): c for n, r, c in self.store.query("SELECT node, reason, count FROM security_event")}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_status_that_is_taken_back_is_no_refusal(bench: Bench, pump: Node) -> None:
    """As a node does that retires; an empty message of any other class is one."""
    bench.take(Message(pump.topic("status").encode(), b"", 1, False))
    assert not bench.refused() and not bench.lines
    bench.take(Message(pump.topic("event").encode(), b"", 1, False))
    assert bench.refused() == {("", "malformed"): 1}


def test_a_record_is_stored_once_with_what_it_says(bench: Bench, pump: Node) -> None:
    message = pump.says(time_ms=NOW - 500, rms_g=0.25, energy=[230.0, 2.0, 414.0, 460.0, 0.9, 50.0, 12.5])
    bench.take(message, message)
    bench.take(message)
    (row,) = bench.store.query("SELECT node, topic, boot, seq, class, time_ms, dated_by, body FROM dated")
    assert row[:7] == (PUMP.hex(), f"{PLACE}/pump-7", 1, 0, "telemetry", NOW - 500, "node")
    assert json.loads(row[7])["rms_g"] == 0.25 and json.loads(row[7])["energy"][0] == 230.0
    assert (bench.intake.tally.received, bench.intake.tally.duplicates, bench.refused()) == (1, 2, {})


def test_a_resend_is_a_duplicate_and_a_late_copy_a_replay(bench: Bench, pump: Node) -> None:
    first = pump.says()
    bench.take(first)
    bench.take(*(pump.says() for _ in range(RESEND_WINDOW - 1)))
    bench.take(first)
    assert bench.intake.tally.duplicates == 1 and not bench.refused()
    bench.take(pump.says())
    bench.restart()  # the window is the store itself
    bench.take(first)
    assert bench.refused() == {(PUMP.hex(), "replay"): 1}
    assert len(bench.numbers()) == RESEND_WINDOW + 1
    bench.take(first._replace(again=True))  # by the broker, which was not told that it is stored
    assert sum(bench.refused().values()) == 1
    assert bench.store.nodes()[0].duplicates == 2


def test_a_number_that_is_used_twice_is_no_copy(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(rms_g=1.0))
    bench.take(Message(pump.topic("telemetry").encode(), pump.seal(at=(1, 0), rms_g=2.0), 1, False))
    assert bench.refused() == {(PUMP.hex(), "conflict"): 1}
    assert json.loads(bench.store.query("SELECT body FROM record")[0][0])["rms_g"] == 1.0


def hostile(pump: Node, fan: Node) -> dict[str, tuple[str, Message]]:
    """Case -> (reason, message): everything that must not get in."""
    good, topic = pump.seal(), pump.topic("telemetry").encode()
    sealer = Sealer(pump.key[1], PUMP, 1, "uplink")

    def sealed(plain: bytes, message_class: str = "telemetry") -> bytes:
        return sealer.seal(message_class, 1, 77, plain)

    stranger = Sealer(bytes(32), bytes(8), 1, "uplink").seal("telemetry", 1, 0, encoded("telemetry"))
    forged = Sealer(bytes(32), PUMP, 1, "uplink").seal("telemetry", 1, 0, encoded("telemetry"))
    downlink = Sealer(pump.key[1], PUMP, 1, "downlink").seal("telemetry", 1, 0, encoded("telemetry"))
    generation = Sealer(pump.key[1], PUMP, 2, "uplink").seal("telemetry", 1, 0, encoded("telemetry"))
    deep = b"\xa2\x00\x02\x18\xff" + b"\x81" * 60 + b"\x00"
    cases: dict[str, tuple[str, Any]] = {
        "unknown node": ("unknown_node", stranger),
        "unknown generation": ("unknown_node", generation),
        "wrong key": ("wrong_key", forged),
        "downlink": ("wrong_key", downlink),
        "another number": ("wrong_key", good[:21] + bytes([good[21] ^ 1]) + good[22:]),
        "another class": ("wrong_key", pump.seal("event")),
        "cut": ("malformed", good[:-3]),
        "cut to nothing": ("malformed", b""),
        "trailing": ("malformed", good + b"\x00"),
        "text": ("malformed", b'{"rms_g": 1}'),
        "plain": ("malformed", encoded("telemetry", node="pump-7", boot=1, seq=1)),
        "oversized": ("oversized", good + bytes(4000)),
        "far oversized": ("oversized", None),
        "nested": ("malformed", sealed(deep)),
        "wrong type": ("malformed", sealed(b"\xa2\x00\x02\x05\x61x")),
        "no uptime": ("malformed", sealed(b"\xa1\x00\x02")),
        "not a map": ("malformed", sealed(b"\x81\x02")),
        "version": ("wrong_version", sealed(b"\xa1\x00\x18\x63")),
        "another's topic": ("topic", Message(fan.topic("telemetry").encode(), good, 1, False)),
        "no class": ("topic", Message(topic.replace(b"telemetry", b"secrets"), good, 1, False)),
        "no place": ("topic", Message(b"telemetry", good, 1, False)),
        "not UTF-8": ("topic", Message(b"\xff/b/c/d/e/telemetry", good, 1, False)),
        "drops": ("malformed", pump.says("event", drops=[1, 5])),
        "drops back": ("malformed", pump.says("event", drops=[1, 5, 4])),
        "drops ahead": ("malformed", pump.says("event", drops=[9, 0, 4])),
        "lost ahead": ("malformed", pump.says("event", lost_from=[1, 0])),
        "oldest ahead": ("malformed", pump.says("event", oldest_boot=2)),
    }  # fmt: skip
    return {
        name: (reason, one if isinstance(one, Message) else Message(topic, one, 1, False))
        for name, (reason, one) in cases.items()
    }


def test_what_is_refused_for_which_reason(bench: Bench, pump: Node, keys: KeyStore) -> None:
    cases = hostile(pump, Node(keys, FAN, "fan-1"))
    found = {}
    for name, (_, message) in cases.items():
        before = dict(bench.intake.tally.refused)
        bench.take(message)
        found[name] = [reason for reason, count in bench.intake.tally.refused.items() if count > before.get(reason, 0)]
    assert found == {name: [reason] for name, (reason, _) in cases.items()}
    assert bench.numbers() == []
    assert bench.refused()[PUMP.hex(), "wrong_key"] == 4 and bench.refused()[bytes(8).hex(), "unknown_node"] == 1
    assert all(line.isprintable() and len(line) < 300 for line in bench.lines)
    assert len(bench.lines) == len(bench.refused())  # the first of each kind and node is a line
    bench.take(*(message for _, message in cases.values()), pump.says())
    assert len(bench.numbers()) == 1, "a good record among them is not touched"


def test_every_altered_bit_is_refused(bench: Bench, pump: Node) -> None:
    good, topic = pump.seal(), pump.topic("telemetry").encode()
    for bit in range(8 * len(good)):
        altered = bytearray(good)
        altered[bit // 8] ^= 1 << bit % 8
        bench.intake.take([Message(topic, bytes(altered), 1, False)], NOW)
    bench.intake.commit(NOW)
    assert bench.numbers() == [] and sum(bench.refused().values()) == 8 * len(good)


def test_what_waited_at_a_gateway_is_taken_once_though_its_node_has_no_more_of_it(bench: Bench, pump: Node) -> None:
    """A gateway sends events before telemetry, and a node may have given to another gateway what came after."""
    at_gateway = pump.says(uptime_ms=60_000)
    pump.boots(oldest_boot=1)
    bench.take(pump.boots(oldest_boot=3, time_ms=NOW - 1000, uptime_ms=1000))
    bench.restart()
    bench.take(at_gateway, now=NOW + HOUR_MS)
    assert (bench.refused(), bench.numbers()) == ({}, [(1, 0), (3, 0)])
    rows = "SELECT boot, dated_by, uncertain_ms FROM dated ORDER BY boot"
    assert bench.store.query(rows) == [(1, "receipt", None), (3, "node", 0)]  # a later boot's time bounds nothing
    bench.take(*(pump.says() for _ in range(300)))
    bench.take(at_gateway)
    assert bench.refused() == {(PUMP.hex(), "replay"): 1}


def test_a_new_key_takes_over_at_its_first_message(bench: Bench, pump: Node, keys: KeyStore) -> None:
    held_back = [pump.says(), pump.says()]
    pump.key = keys.rotate(PUMP).keys
    bench.take(pump.says())  # the old key, until the node has the new one
    pump.generation = 2
    bench.take(pump.says())
    bench.take(*held_back)  # from the journal: sealed before, and numbered so
    pump.generation = 1
    bench.take(pump.says())
    assert bench.refused() == {(PUMP.hex(), "old_key"): 1}
    assert bench.numbers() == [(1, 0), (1, 1), (1, 2), (1, 3)]


def test_a_key_that_ends_is_obeyed_before_the_next_record(bench: Bench, pump: Node, keys: KeyStore) -> None:
    """Another process revokes it, and nothing here is restarted or told; likewise when its time is over."""
    bench.take(pump.says())
    KeyStore(keys.folder).revoke(PUMP, "stolen")
    forged = Sealer(bytes(32), PUMP, 1, "uplink").seal("telemetry", 9, 0, encoded("telemetry"))
    bench.take(pump.says(), pump.says(), Message(pump.topic("telemetry").encode(), forged, 1, False))
    assert bench.refused() == {(PUMP.hex(), "key_revoked"): 2, (PUMP.hex(), "wrong_key"): 1}
    pump.key, pump.generation = KeyStore(keys.folder).rotate(PUMP, days=1).keys, 2
    keys.refresh()
    bench.take(pump.says())
    assert bench.numbers() == [(1, 0), (1, 3)], "what was stored stays, and the new key is believed"
    keys.clock = lambda: time.time() + 86_401
    bench.take(pump.says())
    assert bench.refused()[PUMP.hex(), "key_expired"] == 1
    KeyStore(keys.folder).expire(PUMP, None)
    bench.take(pump.says())
    KeyStore(keys.folder).remove(PUMP)
    bench.take(pump.says())
    assert bench.numbers() == [(1, 0), (1, 3), (1, 5)] and bench.refused()[PUMP.hex(), "unknown_node"] == 1


def test_whose_key_expires_is_written_into_the_store(bench: Bench, pump: Node, keys: KeyStore) -> None:
    def look() -> list[tuple[str, str, str]]:
        keys.refresh()
        Endings(keys, bench.lines.append, lambda found: bench.store.put_expiring(found, NOW))
        with Source(bench.path) as source:
            return [(one.node, one.topic, one.day) for one in expiring(source)]

    bench.take(pump.says())
    assert look() == [] and bench.lines == []
    until = KeyStore(keys.folder).expire(PUMP, 3).end().expires
    assert until is not None
    assert look() == [(PUMP.hex(), f"{PLACE}/pump-7", datetime.fromtimestamp(until, UTC).date().isoformat())]
    assert bench.lines[-1].startswith("keys expire: pump-7 in ")
    KeyStore(keys.folder).rotate(PUMP, None)
    assert look() == []


def dates(bench: Bench) -> list[tuple[Any, ...]]:
    return bench.store.query("SELECT seq, time_ms, dated_by, uncertain_ms FROM dated ORDER BY boot, seq")


def test_what_was_recorded_before_the_clock_was_set_is_dated_later(bench: Bench, pump: Node) -> None:
    began = NOW - HOUR_MS
    bench.take(pump.says(uptime_ms=1_000), pump.says(uptime_ms=61_000))
    assert [(by, sure) for _, _, by, sure in dates(bench)] == [("receipt", None)] * 2
    bench.take(pump.says(uptime_ms=121_000, time_ms=began + 121_000))
    bench.take(pump.says(uptime_ms=5_000))  # it waited in the journal
    assert dates(bench) == [
        (0, began + 1_000, "offset", 0),
        (1, began + 61_000, "offset", 0),
        (2, began + 121_000, "node", 0),
        (3, began + 5_000, "offset", 0),
    ]


def test_a_crystal_that_drifts_moves_no_date_of_long_ago(bench: Bench, pump: Node) -> None:
    """After a month the node's uptime is a minute behind the time; what it measured in the first week is not moved."""
    began, day = NOW - 30 * 24 * HOUR_MS, 24 * HOUR_MS
    bench.take(pump.says(uptime_ms=0, time_ms=began), pump.says(uptime_ms=HOUR_MS), now=began + HOUR_MS)
    bench.take(pump.says(uptime_ms=29 * day, time_ms=began + 29 * day + 60_000), now=began + 29 * day + 60_000)
    bench.take(pump.says(uptime_ms=29 * day + HOUR_MS), now=NOW)
    assert [(time, by) for _, time, by, _ in dates(bench)][1::2] == [
        (began + HOUR_MS, "offset"),
        (began + 29 * day + HOUR_MS + 60_000, "offset"),
    ]


def test_a_boot_without_a_clock_is_dated_by_its_receipt_with_a_bound(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(uptime_ms=0, time_ms=NOW - HOUR_MS), now=NOW - HOUR_MS)
    pump.boot, pump.seq = 2, 0
    bench.take(pump.says(uptime_ms=1_000), pump.says(uptime_ms=601_000), now=NOW)
    # The last is at most as old as the receipt says; the first one is ten minutes older, by uptime.
    assert dates(bench)[1:] == [
        (0, NOW - 600_000, "receipt", HOUR_MS - 601_000),
        (1, NOW, "receipt", HOUR_MS - 601_000),
    ]


@pytest.mark.parametrize("claimed", [0, 1_609_459_200_000, NOW + 5 * 365 * 24 * HOUR_MS, (1 << 64) - 1])
def test_a_clock_that_is_years_off_is_flagged_and_not_believed(bench: Bench, pump: Node, claimed: int) -> None:
    bench.take(pump.says(uptime_ms=1_000, time_ms=claimed))
    assert dates(bench) == [(0, NOW, "receipt", None)]
    assert bench.store.query("SELECT claimed_ms FROM record") == [(min(claimed, (1 << 63) - 1),)]
    (account,), _ = ledger(bench.store)
    assert (account.flagged, account.refused, account.received) == (1, {}, 1)
    assert "days apart; dated by receipt" in bench.lines[0]


def test_security_events_are_bounded(bench: Bench, pump: Node) -> None:
    topic = f"{PLACE}/x/telemetry".encode()
    for number in range(EVENTS_MAX + 500):
        seal = Sealer(bytes(32), number.to_bytes(8, "big"), 1, "uplink").seal("telemetry", 1, 0, b"\xa0")
        bench.intake.take([Message(topic, seal, 1, False)], NOW)
    bench.intake.commit(NOW)
    events = bench.refused()
    assert len(events) <= EVENTS_MAX + 1 and sum(events.values()) == EVENTS_MAX + 500
    assert len(bench.lines) == 1000


def test_plain_messages_need_leave(bench: Bench, keys: KeyStore) -> None:
    Node(keys, PUMP, "pump-7")
    message = Message(f"{PLACE}/n1/telemetry".encode(), encoded("telemetry", node="n1", boot=3, seq=9), 1, False)
    bench.take(message)
    assert bench.intake.tally.refused == {"malformed": 1}
    bench.intake.reader = PlainToo(bench.intake.reader)
    bench.take(message, message)
    forged = Message(f"{PLACE}/n2/telemetry".encode(), encoded("telemetry", node="n1", boot=3, seq=10), 1, False)
    bench.take(forged, Message(message.topic, b"\xa1\x00" + bytes([VERSION]), 1, False))
    assert bench.numbers() == [(3, 9)] and bench.intake.tally.duplicates == 1
    assert bench.intake.tally.refused == {"malformed": 2, "topic": 1}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_full_disk_leaves_the_store_whole(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    pages = bench.store.query("PRAGMA page_count")[0][0]
    bench.store.query(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match=r"the disk is full; free some space"):
        bench.take(*(pump.says() for _ in range(500)))
    bench.restart()
    assert bench.numbers() == [(1, 0)] and bench.store.nodes()[0].received == 1
    pump.seq = 1
    bench.take(*(pump.says() for _ in range(500)))
    assert len(bench.numbers()) == 501


def test_a_store_has_one_writer_and_any_readers(bench: Bench, pump: Node, tmp_path: Path) -> None:
    bench.take(pump.says())
    with pytest.raises(StoreError, match="another quaver ingest writes to it"):
        open_records(bench.path)
    with open_records(bench.path, write=False) as reader:
        assert ledger(reader)[0][0].received == 1
    with pytest.raises(StoreError, match="there is no such store"):
        Store(tmp_path / "none", write=False)


@pytest.mark.parametrize("content", [b"not a database" * 100, b"", "other"])
def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "file"
    if isinstance(content, str):
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE mine (a)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a Quaver store|not an SQLite file"):
        Store(path, write=False)
    if before:
        with pytest.raises(StoreError, match=r"not a Quaver store|not an SQLite file"):
            Store(path)
        assert path.read_bytes() == before


def test_who_said_something_new_was_heard_of(bench: Bench, keys: KeyStore, pump: Node) -> None:
    """Neither a copy nor a last will, which its broker says, is a sign of life."""
    fan = Node(keys, FAN, "fan-1")
    status, will, record = pump.says("status"), fan.says("status", state=0), fan.says()
    bench.take(status, will)
    assert bench.intake.heard == {PUMP: (NOW, "0.1.0")}
    bench.take(record, now=NOW + 5000)
    bench.take(status, record, pump.says(), now=NOW + 9000)
    assert bench.intake.heard == {PUMP: (NOW + 9000, "0.1.0"), FAN: (NOW + 5000, None)}
    bench.intake.heard.clear()
    bench.take(status, record, will, now=NOW + 20_000)
    assert bench.intake.heard == {}


def test_the_inventory_learns_who_was_heard_of(
    start_mosquitto: Callable[..., Any], tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mosquitto = start_mosquitto("allow_anonymous true")
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        inventory.put_all((Entry(PUMP, "pump-7", firmware="0.0.9"), Entry(FAN, "fan-1", firmware="0.0.9")))
        pump = Node(keys, PUMP, "pump-7")
        began = int(time.time())
        process = start(mosquitto.port, tmp_path / "s.sqlite", keys, "--count", 2)
        assert process.stderr is not None and "storing the messages from" in process.stderr.readline()
        publish(
            mosquitto.port,
            [(pump.topic(message_class), pump.seal(message_class)) for message_class in ("status", "telemetry")],
        )
        assert process.wait(WAIT_S) == 0
        process.communicate()
        one, other = inventory.get(PUMP), inventory.get(FAN)
    assert one is not None and other is not None
    assert one.seen is not None and began <= one.seen <= time.time()
    assert (one.firmware, other.firmware, other.seen) == ("0.1.0", "0.0.9", None)


def start(port: int | str, bench_path: Path, keys: KeyStore, *more: object) -> subprocess.Popen[str]:
    """`quaver ingest` at a port of this machine, or at a URL."""
    url = port if isinstance(port, str) else f"mqtt://127.0.0.1:{port}"
    command = [sys.executable, "-m", "quaver.cli", "ingest", "--broker", url]
    command += ["--store", str(bench_path), "--keys", str(keys.folder), *map(str, more)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    return process


def stored(path: Path, count: int) -> int:
    """Wait until the store has `count` records; how many it has."""
    deadline = time.monotonic() + WAIT_S
    found = -1
    while found < count and time.monotonic() < deadline:
        try:
            with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
                found = db.execute("SELECT count(*) FROM record").fetchone()[0]
        except sqlite3.OperationalError:
            pass  # not made yet
        time.sleep(0.01)  # a poll, bounded by the deadline: another process writes it
    return found


def test_a_kill_loses_nothing_and_stores_nothing_twice(
    start_mosquitto: Callable[..., Any], tmp_path: Path, keys: KeyStore
) -> None:
    """20 messages at a time at this broker: each kill falls somewhere between taking, committing and acknowledging."""
    mosquitto = start_mosquitto("allow_anonymous true\nmax_queued_messages 0")  # by default it drops after 1,000
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    process = start(mosquitto.port, path, keys, "--count", 1)
    publish_when_listening(process, mosquitto.port, pump, 1)
    assert process.wait(WAIT_S) == 0
    total = 1
    for _ in range(3):
        publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(900)])
        process = start(mosquitto.port, path, keys)
        stored(path, total + 20)
        process.kill()
        process.communicate()
        total += 900
    process = start(mosquitto.port, path, keys)
    assert process.stderr is not None and "storing the messages from" in process.stderr.readline()
    assert stored(path, total) == total
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130 and "records stored" in said
    with Store(path, write=False) as store:
        (account,), _ = ledger(store)
    assert (account.received, account.unexplained, account.refused) == (total, 0, {})


def publish_when_listening(process: subprocess.Popen[str], port: int, node: Node, count: int) -> None:
    assert process.stderr is not None
    assert "storing the messages from" in process.stderr.readline()
    publish(port, [(node.topic("telemetry"), node.seal()) for _ in range(count)])


def test_a_broker_that_restarts_is_found_again(mosquitto: Any, tmp_path: Path, keys: KeyStore) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    process = start(mosquitto.port, path, keys, "--count", 10)
    publish_when_listening(process, mosquitto.port, pump, 5)
    assert stored(path, 5) == 5
    mosquitto.stop()
    assert process.stderr is not None and "connection lost" in process.stderr.readline()
    mosquitto.start()
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(5)])  # before or after it is back
    assert process.wait(WAIT_S) == 0
    assert stored(path, 10) == 10


def said_by(process: subprocess.Popen[str], words: str) -> str:
    """The next line of a process on stderr, which holds `words`."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert words in line, line
    return line


def test_a_copy_of_a_store_gets_everything_too(mosquitto: Any, tmp_path: Path, keys: KeyStore) -> None:
    """Two sessions; a file that was renamed, or put back from a backup, keeps the one that it had."""
    pump, path, copy = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite", tmp_path / "copy.sqlite"
    with Store(path) as store:
        assert store.settle() == store.settle() == ("", "")
        before = store.client_id
    copy.write_bytes(path.read_bytes())
    one, other = (start(mosquitto.port, place, keys, "--count", 40) for place in (path, copy))
    said_by(one, "storing the messages from")
    said_by(other, "storing the messages from")
    said_by(other, f"what the broker keeps for {before} goes to the original store")
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(40)])
    assert [process.wait(WAIT_S) for process in (one, other)] == [0, 0]
    assert "lost" not in one.communicate()[1] + other.communicate()[1]
    with Store(copy) as store:
        assert store.settle() == ("", "") and store.client_id != before
    backup = tmp_path / "backup"
    backup.write_bytes(path.read_bytes())
    backup.replace(path)
    path.rename(tmp_path / "renamed.sqlite")
    with Store(tmp_path / "renamed.sqlite") as store:
        assert store.settle()[0] == before  # path and inode are new at once: nothing tells it from a copy
        mine = store.client_id
        assert store.settle(moved=True) == ("", mine) and store.client_id == before
    (tmp_path / "renamed.sqlite").rename(path)
    with Store(path) as store:
        assert store.settle() == ("", "") and store.client_id == before


def test_a_store_that_was_moved_takes_up_its_session(mosquitto: Any, tmp_path: Path, keys: KeyStore) -> None:
    """What the broker kept for it while it was on its way is not lost, and of the session between nothing stays."""
    pump, path, moved = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite", tmp_path / "moved.sqlite"
    process = start(mosquitto.port, path, keys, "--count", 1)
    publish_when_listening(process, mosquitto.port, pump, 1)
    assert process.wait(WAIT_S) == 0
    process.communicate()
    moved.write_bytes(path.read_bytes())
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(3)])
    process = start(mosquitto.port, moved, keys, "--count", 1)
    said_by(process, "storing the messages from")
    said_by(process, "start this one once with --moved")
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal())])
    assert process.wait(WAIT_S) == 0
    process.communicate()
    with Store(moved) as store:
        between = store.client_id
    process = start(mosquitto.port, moved, keys, "--moved", "--count", 3)
    assert process.wait(WAIT_S) == 0
    process.communicate()
    with Store(moved, write=False) as store:
        (account,), _ = ledger(store)
        assert (account.received, account.unexplained) == (5, 0)
        assert store.client_id != between
    with MqttSession(BrokerUrl("127.0.0.1", mosquitto.port), between, TOPICS) as session:
        assert session.connect() is False  # the broker knows nothing of it


def test_a_session_that_is_taken_over_is_told_and_not_fought_for(
    mosquitto: Any, tmp_path: Path, keys: KeyStore
) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    with Store(path) as store:
        client_id = store.client_id
    process = start(mosquitto.port, path, keys)
    publish_when_listening(process, mosquitto.port, pump, 1)
    assert stored(path, 1) == 1
    url = BrokerUrl("127.0.0.1", mosquitto.port)
    assert process.stderr is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
    reader.start()
    with MqttSession(url, client_id, TOPICS) as rival:
        deadline = time.monotonic() + WAIT_S

        def watched() -> bool:
            return not any("taken over" in line for line in lines) and time.monotonic() < deadline

        while watched():
            try:
                rival.connect()
                while watched():
                    rival.receive(0.05)
            except LinkLost:
                pass
    process.send_signal(signal.SIGINT)
    process.wait(WAIT_S)
    reader.join(WAIT_S)
    told, *_ = [line for line in lines if "taken over" in line]
    assert f"another ingest connects as {client_id}; stop one of the two; trying again in 15 s" in told


def test_a_broker_that_is_away_is_no_session_taken_over(mosquitto: Any) -> None:
    with MqttSession(BrokerUrl("127.0.0.1", mosquitto.port), "me", TOPICS) as session:
        session.connect()
        assert session.greeted
        mosquitto.stop()
        with pytest.raises(LinkLost):
            session.connect()
        assert not session.greeted  # nobody answered, so nobody took it


def test_who_is_thrown_out_again_and_again_stays_away_longer() -> None:
    now = [0.0]
    rivalry = Rivalry("me", lambda: now[0])
    pauses = []
    for lasted in (3600, 1, 1, 1, 1, 1, 1, 1, 3600, 1):
        now[0] += lasted
        pauses.append(rivalry.lost())
        rivalry.connected()
    assert pauses == [0, 0, 15, 30, 60, 120, 240, 300, 0, 0]


def locked(path: Path, how: str) -> sqlite3.Connection:
    """Another program's connection that holds the store, as a database browser does or a backup."""
    db = sqlite3.connect(path, isolation_level=None)
    if how == "exclusive":
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN IMMEDIATE" if how == "write" else "BEGIN EXCLUSIVE")
    db.execute("UPDATE meta SET value = value")
    return db


def test_a_store_that_another_program_holds_is_waited_for(mosquitto: Any, tmp_path: Path, keys: KeyStore) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    process = start(mosquitto.port, path, keys, "--count", 60)
    publish_when_listening(process, mosquitto.port, pump, 5)
    assert stored(path, 5) == 5
    other = locked(path, "write")
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(50)])
    line = said_by(process, "has locked it; waiting until it is free; the broker keeps new messages")
    assert f"(process {os.getpid()})" in line or sys.platform != "linux"
    publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(5)])
    assert process.poll() is None
    other.execute("ROLLBACK")
    said_by(process, "the store is free again")
    assert process.wait(WAIT_S) == 0
    _, rest = process.communicate()
    assert "has locked it" not in rest and "60 records stored" in rest
    with Store(path, write=False) as store:
        (account,), _ = ledger(store)
    assert (account.received, account.unexplained, account.refused) == (60, 0, {})
    other.close()


def test_a_store_that_is_held_at_the_start_is_waited_for_too(mosquitto: Any, tmp_path: Path, keys: KeyStore) -> None:
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    Store(path).close()
    other = locked(path, "write")
    process = start(mosquitto.port, path, keys, "--count", 1)
    said_by(process, "has locked it; waiting until it is free")
    other.execute("ROLLBACK")
    said_by(process, "the store is free again")
    publish_when_listening(process, mosquitto.port, pump, 1)
    assert process.wait(WAIT_S) == 0
    process.communicate()
    other.close()


def test_who_reads_a_store_that_is_held_is_told_by_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.sqlite"
    Store(path).close()
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "db.execute('PRAGMA locking_mode = EXCLUSIVE'); db.execute('BEGIN EXCLUSIVE'); "
        "db.execute('UPDATE meta SET value = value'); print('held', flush=True); input()"
    )
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        monkeypatch.setattr("quaver.store.store.BUSY_S", 0.1)
        with pytest.raises(StoreError, match=r"has locked it; stop that program, then try again") as caught:
            Store(path, write=False)
        if sys.platform == "linux":
            assert f"(process {other.pid})" in str(caught.value)
        other.communicate("\n")


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quaver.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=os.environ | environment)


def test_failures_are_one_line(mosquitto: Any, tmp_path: Path, keys: KeyStore, closed_port: int) -> None:
    keys.create(PUMP)
    here, there = ("--keys", keys.folder), ("--broker", f"mqtt://127.0.0.1:{mosquitto.port}")
    for arguments, code, words in (
        (("--store", tmp_path / "s", *here, "--broker", f"127.0.0.1:{closed_port}"), 7, "Connection refused; start"),
        (("--store", tmp_path / "s", *here, "--broker", "http://x"), 7, "its scheme is not one of mqtt://"),
        (("--store", tmp_path / "s", "--keys", tmp_path / "none", *there), 12, "there is no key store"),
        (("--store", tmp_path, *here, *there), 2, "is a directory"),
        (("--store", tmp_path / "no" / "s", *here, *there), 13, "can't be opened"),
        ((*here, *there), 2, "Missing option '--store'"),
        (("--store", tmp_path / "s", *here, "--broker", "mqtts://x", "--ca", keys.path), 7, "holds no certificate"),
    ):  # fmt: skip
        result = run("ingest", *arguments)
        assert (result.returncode, words in result.stderr) == (code, True), result.stderr
    (tmp_path / "text").write_text("no database, however one looks at it" * 50)
    assert run("ledger", "--store", tmp_path / "text").returncode == 13


@pytest.fixture
def closed_port() -> int:
    return free_port()


def test_a_file_that_may_not_grow_ends_ingest_with_its_store_whole(
    mosquitto: Any, tmp_path: Path, keys: KeyStore
) -> None:
    """The system's own limit on a file's size, instead of a disk to fill."""
    pump, path = Node(keys, PUMP, "pump-7"), tmp_path / "s.sqlite"
    Store(path).close()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        "from quaver.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["--broker", f"mqtt://127.0.0.1:{mosquitto.port}", "--store", path, "--keys", keys.folder]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ingest", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )
    publish_when_listening(process, mosquitto.port, pump, 800)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 13 and ("free some space" in said or "no space left" in said), said
    process = start(mosquitto.port, path, keys)  # room was made: the broker still has the rest
    assert stored(path, 800) == 800
    process.kill()
    process.communicate()
