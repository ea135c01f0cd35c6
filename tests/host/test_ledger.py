"""The ledger's account: what is missing is explained by the node, or it is told and ends the command with 1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Node
from test_ingest import NOW, PUMP, Bench

from quaver.broker.reader import Message
from quaver.store.ledger import ASIDE, Account, Gap, ledger
from quaver.store.location import Location
from quaver.store.store import Store
from quaver_wire.fields import EVENTS

DROPPED = EVENTS.index("records_dropped")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def account(bench: Bench) -> Account:
    (found,), strangers = ledger(bench.store)
    assert strangers == []
    return found


def lose(node: Node, count: int) -> None:
    for _ in range(count):
        node.seal()


def test_nothing_is_missing(bench: Bench, pump: Node) -> None:
    bench.take(*(pump.says() for _ in range(10)), pump.boots(), pump.says())
    found = account(bench)
    assert (found.received, found.unexplained, found.dropped, found.gaps) == (12, 0, 0, [])
    assert (found.since, found.boots) == ((1, 0), (1, 2))


def test_order_does_not_matter(bench: Bench, pump: Node) -> None:
    messages = [pump.says() for _ in range(10)]
    bench.take(*messages[5:])
    bench.take(*reversed(messages[:5]))
    assert account(bench).unexplained == 0 and account(bench).since == (1, 0)


def test_which_numbers_of_which_boot_are_missing(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    lose(pump, 3)
    bench.take(pump.says())
    lose(pump, 1)
    bench.take(pump.says())
    pump.boot, pump.seq = 2, 2
    bench.take(pump.says())
    pump.boot, pump.seq = 4, 0
    bench.take(pump.says())
    found = account(bench)
    assert found.gaps == [Gap(1, 1, 3), Gap(1, 5, 5), Gap(2, 0, 1), Gap(3, 0, None)]
    assert found.unexplained == 7
    assert [str(gap) for gap in found.gaps][::3] == ["boot 1: seq 1 to 3", "boot 3: all of it"]


def test_exact_drops_explain_and_no_more(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    lose(pump, 9)  # 1 to 9
    bench.take(pump.says("event", code=DROPPED, drops=[1, 2, 4, 1, 6, 8]), pump.says())
    found = account(bench)
    assert (found.dropped, found.gaps) == (6, [Gap(1, 1, 1), Gap(1, 5, 5), Gap(1, 9, 9)])
    bench.take(pump.says("event", code=DROPPED, drops=[1, 1, 5]))  # overlapping with what was told
    bench.take(pump.says("event", code=DROPPED, drops=[1, 9, 9]))
    assert (account(bench).dropped, account(bench).unexplained) == (9, 0)


def test_what_was_dropped_and_came_all_the_same_is_no_gap(bench: Bench, pump: Node) -> None:
    late = pump.says()
    bench.take(pump.says(), late, pump.says("event", code=DROPPED, drops=[1, 0, 1]))
    assert (account(bench).received, account(bench).dropped, account(bench).unexplained) == (3, 0, 0)


def test_power_explains_from_its_number_on_and_bounds_the_boot(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    lose(pump, 2)
    bench.take(pump.says())  # 3
    lose(pump, 2)
    bench.take(pump.says())  # 6
    bench.take(pump.boots(lost_from=[1, 5]))
    bench.take(pump.says())
    found = account(bench)
    assert (found.lost_in_ram, found.gaps) == (1, [Gap(1, 1, 2), Gap(1, 4, 4)])
    bench.take(pump.boots(lost_from=[2, 5]), pump.says())  # three numbers of boot 2 were on flash, and must come
    assert account(bench).gaps[2:] == [Gap(2, 2, 4)]


def test_power_explains_the_boots_that_never_came_to_write(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    pump.boot = 4
    bench.take(pump.boots(lost_from=[1, 1]), pump.says())
    assert (account(bench).unexplained, account(bench).boots) == (0, (1, 5))
    pump.boot = 7
    bench.take(pump.boots(lost_from=[5, 2, 7, 3]), pump.says())  # boot 7 had three numbers on flash, 6 was leapt over
    assert account(bench).gaps == [Gap(7, 0, 2)]


def test_what_may_still_be_at_the_node_is_waiting(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    journal = [pump.says() for _ in range(3)]
    bench.take(pump.boots(lost_from=[1, 4], oldest_boot=1))  # an event goes before the telemetry of the outage
    assert (account(bench).waiting, account(bench).unexplained) == (3, 0)
    bench.take(journal[0], journal[2])
    assert (account(bench).waiting, account(bench).gaps) == (0, [Gap(1, 2, 2)])


def test_statuses_are_in_no_account(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    topic = pump.topic("status").encode()
    bench.take(Message(topic, pump.seal("status", at=(1, ASIDE + 1), state=1), 1, False))  # the will is ASIDE + 0
    bench.take(pump.says())
    assert (account(bench).unexplained, account(bench).received, account(bench).boots) == (0, 3, (1, 1))


def test_a_drop_ahead_of_all_that_came_is_explained(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    lose(pump, 5)
    bench.take(pump.boots(), pump.says("event", code=DROPPED, drops=[1, 1, 5]), pump.says())
    assert (account(bench).dropped, account(bench).unexplained) == (5, 0)


def test_a_boot_that_never_spoke_is_explained_by_the_next(bench: Bench, pump: Node) -> None:
    bench.take(pump.says())
    pump.boot = 2
    bench.take(pump.boots(lost_from=[2, 0]), pump.says())
    assert account(bench).unexplained == 0


def test_the_account_begins_where_the_store_began_to_listen(bench: Bench, pump: Node) -> None:
    lose(pump, 40)
    bench.take(pump.says())
    assert (account(bench).since, account(bench).unexplained) == ((1, 40), 0)


def run(path: Location | Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quaver.cli", "ledger", "--store", str(path), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_the_command_ends_with_1_for_a_gap_alone(bench: Bench, pump: Node, tmp_path: Path) -> None:
    bench.take(pump.says(), pump.says())
    bench.store.close()
    assert run(bench.path).returncode == 0
    bench.start()
    lose(pump, 2)
    bench.take(pump.says(), now=NOW + 1)
    bench.store.close()
    told = run(bench.path)
    assert told.returncode == 1 and "unexplained: boot 1: seq 2 to 3" in told.stdout, told.stdout
    line = json.loads(run(bench.path, "--json").stdout)
    assert (line["id"], line["received"], line["unexplained"]) == (PUMP.hex(), 3, 2)
    assert line["gaps"] == [{"boot": 1, "first": 2, "last": 3}]
    missing = run(tmp_path / "none")
    assert missing.returncode == 13 and "there is no such store" in missing.stderr
    Store(tmp_path / "new").close()
    assert run(tmp_path / "new").returncode == 0
