"""A clock that was wrong dates no record for good: this machine's when it is set, and a node's when it is corrected."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import HOUR_MS, Node
from test_ingest import FAN, NOW, PUMP, Bench, dates

from quaver.fleet.keys import KeyStore
from quaver.ingest.timeline import Timeline
from quaver.store.ledger import ledger
from quaver.store.location import Location
from quaver.store.schema import VERSION
from quaver.store.store import Store
from quaver.system.clock import Reading

DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS
UPTIME_MS = 500_000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Machine(Bench):
    """A bench whose machine has clocks: `off_ms` is what its date is off, `vouched` whether a time server keeps it."""

    def __init__(self, location: Location, keys: KeyStore) -> None:
        self.true_ms = NOW
        self.off_ms = 0
        self.vouched = False
        self.boot = "first"
        self.booted_ms = NOW - UPTIME_MS
        super().__init__(location, keys)

    def start(self) -> None:
        super().start()
        self.watch()

    def watch(self) -> None:
        self.timeline = Timeline(
            self.store,
            self.intake,
            self.lines.append,
            read=lambda: Reading(self.true_ms + self.off_ms, self.true_ms - self.booted_ms),
            boot_id=self.boot,
            vouched=lambda _date_ms: self.vouched,
        )

    def reboot(self) -> None:
        self.boot += "+"
        self.booted_ms = self.true_ms
        self.restart()

    def hears(self, node: Node, after_ms: int = 1000, **values: object) -> None:
        """A record that the node makes and hands over `after_ms` after the last one."""
        self.true_ms += after_ms
        message = node.says(uptime_ms=self.true_ms - NOW, **values)
        self.intake.take([message], self.timeline.now_ms())
        self.intake.commit(self.timeline.now_ms())

    def found(self) -> list[int]:
        """By how much the date of each record is off, ms."""
        times = self.store.query("SELECT time_ms - ? - uptime_ms FROM dated ORDER BY boot, seq", (NOW,))
        return [off for (off,) in times]


@pytest.fixture
def machine(location: Location, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(location, KeyStore(tmp_path / "keys"))
    yield machine
    machine.store.close()


@pytest.fixture
def pump(machine: Machine) -> Node:
    return Node(machine.keys, PUMP, "pump-7")


@pytest.mark.parametrize(
    "off_ms", [-NOW, -20 * YEAR_MS, -3 * YEAR_MS, -200 * DAY_MS, -2 * HOUR_MS, 2 * HOUR_MS, 5 * YEAR_MS]
)
def test_what_came_while_the_clock_was_wrong_is_dated_anew_when_it_is_set(
    machine: Machine, pump: Node, off_ms: int
) -> None:
    machine.off_ms = off_ms
    machine.reboot()
    machine.hears(pump)
    machine.hears(pump)
    assert machine.found() == [off_ms, off_ms]
    machine.off_ms = 0
    machine.hears(pump)
    assert machine.found() == [0, 0, 0]
    received = machine.store.query("SELECT received_ms, moved_ms, receipt_uncertain_ms FROM dated ORDER BY seq")
    unsure = -off_ms if -YEAR_MS < off_ms < 0 else 0  # it may as well have been suspended
    assert received == [(NOW + 1000, -off_ms, unsure), (NOW + 2000, -off_ms, unsure), (NOW + 3000, 0, 0)]
    assert any("was set by" in line for line in machine.lines)
    assert any(line.startswith("2 records arrived while") for line in machine.lines), machine.lines
    (account,), _ = ledger(machine.store)
    assert (account.redated, account.by_receipt) == (2, 3)


def test_a_clock_that_was_set_while_ingest_was_not_running(machine: Machine, pump: Node) -> None:
    machine.off_ms = -3 * YEAR_MS
    machine.reboot()
    machine.hears(pump)
    machine.off_ms = 0
    machine.restart()
    assert machine.found() == [0]
    spans = len(machine.store.spans())
    machine.restart()
    assert len(machine.store.spans()) == spans, "a start without a step begins no span"


def test_a_machine_that_went_down_with_a_wrong_clock_leaves_a_bound(machine: Machine, pump: Node) -> None:
    machine.hears(pump)
    machine.off_ms = -NOW
    machine.true_ms += HOUR_MS
    machine.reboot()
    machine.hears(pump, HOUR_MS)
    machine.true_ms += HOUR_MS
    machine.off_ms = 0
    machine.reboot()
    [(moved, unsure)] = machine.store.query("SELECT moved_ms, receipt_uncertain_ms FROM dated WHERE moved_ms <> 0")
    # It came after the record before, and before the machine started again.
    assert moved == NOW + HOUR_MS
    assert unsure == 3 * HOUR_MS
    machine.true_ms += HOUR_MS
    machine.reboot()
    assert machine.store.query("SELECT moved_ms FROM dated WHERE moved_ms <> 0") == [(moved,)]


def test_a_clock_set_wrong_by_hand_and_back(machine: Machine, pump: Node) -> None:
    machine.vouched = True
    machine.reboot()
    machine.hears(pump)
    machine.vouched, machine.off_ms = False, 4 * YEAR_MS
    machine.hears(pump)
    machine.off_ms = 0
    machine.hears(pump)
    assert machine.found() == [0, 0, 0]
    machine.off_ms = -NOW  # to 1970: no date of any day on which this runs
    machine.hears(pump)
    assert machine.found() == [0, 0, 0, 0]


def test_a_machine_that_was_suspended_moves_nothing_that_a_time_server_vouched_for(
    machine: Machine, pump: Node
) -> None:
    machine.vouched = True
    machine.reboot()
    machine.hears(pump)
    machine.true_ms += 8 * HOUR_MS
    machine.booted_ms += 8 * HOUR_MS  # its own time stood still
    machine.hears(pump)
    assert machine.store.query("SELECT DISTINCT moved_ms, receipt_uncertain_ms FROM dated") == [(0, 0)]


def test_a_date_of_a_node_that_was_not_believed_is_once_the_clock_is_set(machine: Machine, pump: Node) -> None:
    fan = Node(machine.keys, FAN, "fan-1")
    machine.off_ms = -NOW
    machine.reboot()
    machine.hears(pump, time_ms=NOW + 1000)
    machine.hears(pump)
    machine.hears(fan, time_ms=7_000)  # this one lives in 1970 too
    assert {by for _, _, by, _ in dates(machine)} == {"receipt", "node"}
    machine.off_ms = 0
    machine.hears(pump)
    rows = machine.store.query("SELECT topic, time_ms, dated_by FROM dated WHERE boot = 1 ORDER BY topic, seq")
    assert [(time, by) for topic, time, by in rows if topic.endswith("pump-7")] == [
        (NOW + 1000, "node"),
        (NOW + 2000, "offset"),
        (NOW + 4000, "offset"),
    ]
    assert [(time, by) for topic, time, by in rows if topic.endswith("fan-1")] == [(NOW + 3000, "receipt")]


@pytest.mark.parametrize("wrong_ms", [-300 * DAY_MS, -60_000, 50 * 60_000])
def test_a_node_whose_clock_is_corrected_is_dated_by_the_correction(
    machine: Machine, pump: Node, wrong_ms: int
) -> None:
    machine.hears(pump, time_ms=NOW + 1000 + wrong_ms)
    machine.hears(pump)
    late = pump.says(uptime_ms=2500, time_ms=NOW + 2500 + wrong_ms)
    machine.hears(pump, time_ms=NOW + 3000)
    machine.take(late, now=NOW + 4000)  # it waited in the journal
    assert machine.found() == [0, 0, 0, 0]
    assert [by for _, _, by, _ in dates(machine)] == ["offset", "offset", "offset", "node"]
    assert any("its clock moved by" in line for line in machine.lines)
    machine.restart()
    machine.hears(pump, time_ms=NOW + 4000)
    assert machine.found() == [0] * 5


def test_a_store_of_before_opens_and_keeps_everything(tmp_path: Path) -> None:
    old = Path(__file__).parent / "data" / "store_version_1.sql"
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(old.read_text())
    before = db.execute(
        "SELECT node, boot, seq, time_ms, dated_by, uncertain_ms, received_ms, body FROM dated"
    ).fetchall()
    db.close()
    assert len(before) == 4
    with Store(path, write=False) as store:
        assert ledger(store)[0][0].received == 4 and store.version == 1
    with Store(path) as store:
        after = store.query("SELECT node, boot, seq, time_ms, dated_by, uncertain_ms, received_ms, body FROM dated")
        assert (after, store.version, store.client_id) == (before, VERSION, "quaver-ingest-0123456789ab")
        assert ledger(store)[0][0].by_receipt == 2
