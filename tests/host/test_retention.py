"""What a policy deletes is written down, kept by the hour, and no loss; all else stays."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fleet import HOUR_MS, Node
from test_bridge import ENERGIES, SPECTRUM
from test_cli import refused
from test_ingest import Bench

from quaver.broker.reader import Message
from quaver.cli import main
from quaver.query.source import Place, Source
from quaver.store.ledger import ledger
from quaver.store.location import open_records
from quaver.store.store import Store
from quaver.upkeep.retention import Removal, retain
from quaver_wire.fields import EVENTS

DAY_MS = 24 * HOUR_MS
NOW_MS = 1_795_608_000_000  # 2026-11-25 12:00 UTC, a whole hour
QUAVER = Path(sys.executable).with_name("quaver")
POLICY = {"raw": 10, "spectra": 20, "features": 30}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def at(node: Node, days: float, message_class: str = "telemetry", **values: Any) -> Message:
    """What a node says so many days before NOW_MS, in a boot that began a hundred days before."""
    uptime = round((100 - days) * DAY_MS)
    return node.says(message_class, uptime_ms=uptime, time_ms=NOW_MS - 100 * DAY_MS + uptime, **values)


def fill(bench: Bench, pump: Node) -> None:
    """Of each kind and age, received when it was measured; a number is lost in the middle."""
    for days in (60, 40, 25, 15, 5, 1):
        bench.take(
            at(pump, days, rms_g=0.5, energy=ENERGIES),
            at(pump, days - 0.01, rms_g=0.25),
            at(pump, days - 0.02, **SPECTRUM),
            at(pump, days - 0.03, "answer", result={"at": 0, "data": b"\0\1"}),
            at(pump, days - 0.03, "answer", result={"done": True}),
            at(pump, days - 0.03, "event", code=EVENTS.index("level"), event_level=2),
            now=NOW_MS - round((days - 0.05) * DAY_MS),
        )
        if days == 40:
            pump.seq += 1


def run(bench: Bench, now_ms: int = NOW_MS, **days: int) -> dict[str, int]:
    with open_records(bench.path, beside=True) as store:
        return counts(retain(store, days or POLICY, True, now_ms))


def counts(removals: list[Removal]) -> dict[str, int]:
    return {removal.kind: removal.count for removal in removals}


def hours(bench: Bench, quantity: str) -> list[tuple[Any, ...]]:
    sql = "SELECT hour_ms, count, low, mean, high FROM hourly WHERE quantity = ? ORDER BY hour_ms"
    return bench.store.query(sql, (quantity,))


def content(bench: Bench) -> list[list[tuple[Any, ...]]]:
    tables = ("record", "removed", "hourly")
    return [bench.store.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


def test_a_policy_takes_what_is_older_and_the_ledger_calls_it_deleted(bench: Bench, pump: Node) -> None:
    fill(bench, pump)
    before = bench.store.query("SELECT count(*) FROM record")[0][0]
    with open_records(bench.path, write=False) as store:
        due = retain(store, POLICY, False, NOW_MS)
    assert counts(due) == {"raw": 4, "spectra": 3, "features": 4}
    assert all(one.bytes > 0 and one.first_ms < one.last_ms < NOW_MS for one in due)
    assert bench.store.query("SELECT count(*) FROM record")[0][0] == before, "a dry run deletes nothing"

    assert run(bench) == {"raw": 4, "spectra": 3, "features": 4}
    assert bench.store.query("SELECT count(*) FROM record")[0][0] == before - 11
    (account,), _ = ledger(bench.store)
    assert (account.deleted, account.unexplained, account.received) == (11, 1, before)
    assert [(gap.boot, gap.first, gap.last) for gap in account.gaps] == [(1, 12, 12)]
    assert account.since == (1, 0)
    written = bench.store.query("SELECT begun_ms, kind, node, days, count FROM removal ORDER BY days")
    assert written == [(NOW_MS, "raw", 1, 10, 4), (NOW_MS, "spectra", 1, 20, 3), (NOW_MS, "features", 1, 30, 4)]
    assert bench.store.query("SELECT boot, first, last, kind FROM removed ORDER BY first")[:4] == [
        (1, 0, 1, "features"), (1, 2, 2, "spectra"), (1, 3, 3, "raw"), (1, 6, 7, "features"),
    ]  # fmt: skip
    assert run(bench) == {}


def test_features_are_kept_by_the_hour_and_late_ones_join_theirs(bench: Bench, pump: Node) -> None:
    late = at(pump, 40.0, rms_g=1.0)
    fill(bench, pump)
    run(bench)
    hour = NOW_MS - 40 * DAY_MS
    assert hours(bench, "rms_g")[1:] == [(hour, 2, 0.25, 0.375, 0.5)]
    assert hours(bench, "energy.power_w")[1] == (hour, 1, 300.0, 300.0, 300.0)
    assert {name for (name,) in bench.store.query("SELECT DISTINCT quantity FROM hourly")} == {
        "rms_g", "kurtosis", *(f"energy.{name}" for name in ("voltage_v", "current_a", "power_w", "apparent_va",
                                                              "power_factor", "frequency_hz", "energy_kwh")),
    }  # fmt: skip
    bench.take(late, at(pump, 0.9), now=NOW_MS)
    assert run(bench) == {}, "it came a moment ago"
    assert run(bench, NOW_MS + 31 * DAY_MS, features=30)["features"] == 9
    assert hours(bench, "rms_g")[1] == (hour, 3, 0.25, pytest.approx((0.25 + 0.5 + 1.0) / 3), 1.0)
    assert run(bench, NOW_MS + 31 * DAY_MS, hourly=60)["hourly"] > 0
    assert hours(bench, "rms_g")[0][0] > hour
    assert bench.store.query("SELECT kind, days FROM removal WHERE kind = 'hourly'") == [("hourly", 60)]


def test_nothing_that_was_deleted_comes_in_again(bench: Bench, pump: Node) -> None:
    old = at(pump, 60, rms_g=0.5)
    bench.take(old, now=NOW_MS - 60 * DAY_MS)
    bench.take(at(pump, 1), now=NOW_MS - DAY_MS)
    assert run(bench) == {"features": 1}
    bench.take(old, at(pump, 0.5), now=NOW_MS)
    assert bench.numbers() == [(1, 1), (1, 2)]
    assert bench.refused() == {(pump.id.hex(), "replay"): 1}
    bench.restart()
    bench.take(old, now=NOW_MS)
    assert bench.refused() == {(pump.id.hex(), "replay"): 2}


def test_who_reads_in_order_goes_on_behind_a_deleted_record(bench: Bench, pump: Node) -> None:
    bench.take(*(at(pump, days) for days in (60, 50)), now=NOW_MS - 50 * DAY_MS)
    with Source(bench.path) as source:
        place = source.after(Place(), 10)[-1].place
    bench.take(at(pump, 1), now=NOW_MS - DAY_MS)
    assert run(bench) == {"features": 2}
    with Source(bench.path) as source:
        assert [one.place.seq for one in source.after(source.find(place), 10)] == [2]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_newest_record_stays_and_no_place_is_given_twice(bench: Bench, pump: Node) -> None:
    bench.take(*(at(pump, days) for days in (60, 50)), now=NOW_MS - 50 * DAY_MS)
    newest = bench.store.query("SELECT max(rowid) FROM record")
    assert run(bench) == {"features": 1}
    assert bench.store.query("SELECT max(rowid) FROM record") == newest


@pytest.mark.parametrize("engine", ["sqlite"])
def test_killed_between_two_batches_it_goes_on_as_if_it_had_not_been(bench: Bench, pump: Node, tmp_path: Path) -> None:
    fill(bench, pump)
    other = tmp_path / "other.sqlite"
    bench.store.query("VACUUM INTO ?", (str(other),))
    program = f"""
import os, signal, sys
from pathlib import Path
from quaver.store.location import open_records
from quaver.store.store import Store
from quaver.upkeep import retention

retention._BATCH = 5
with Store(Path(sys.argv[1]), write=False, beside=True) as store:
    die = lambda place: place >= 10 and os.kill(os.getpid(), signal.SIGKILL)
    retention.retain(store, {POLICY}, True, {NOW_MS}, die)
"""
    killed = subprocess.run([sys.executable, "-c", program, bench.store.path], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < bench.store.query("SELECT count(*) FROM removed")[0][0] < 7
    run(bench)
    with Store(other, write=False, beside=True) as store:
        retain(store, POLICY, True, NOW_MS)
        assert content(bench) == [store.query(f"SELECT * FROM {t} ORDER BY 1, 2, 3") for t in
                                  ("record", "removed", "hourly")]  # fmt: skip


def test_an_ingest_that_runs_and_a_retention_do_not_disturb_each_other(bench: Bench, pump: Node) -> None:
    fill(bench, pump)
    run(bench)
    bench.take(at(pump, 0.5))
    (account,), _ = ledger(bench.store)
    assert (account.deleted, account.unexplained) == (11, 1)


def test_the_command_shows_first_and_deletes_when_it_is_told_to(
    bench: Bench, pump: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(bench, pump)
    words = ["store", "retain", "--store", str(bench.path), "--features", "1", "--spectra", "1"]
    assert main(words) == 0
    assert "nothing is deleted without --delete" in capsys.readouterr().out
    assert main([*words, "--delete", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["kind"] for line in lines} == {"spectra", "features"} and all(line["deleted"] for line in lines)
    assert main(["ledger", "--store", str(bench.path)]) == 1
    assert "records deleted by policy" in capsys.readouterr().out
    assert main(words) == 0
    assert "nothing is that old" in capsys.readouterr().out


def test_wrong_stores_and_policies_are_one_line(tmp_path: Path) -> None:
    def quaver(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([QUAVER, "store", "retain", *map(str, words)], capture_output=True, text=True, timeout=60)

    assert "at least one of" in refused(quaver("--store", tmp_path / "none"), 2)
    assert "no such store" in refused(quaver("--store", tmp_path / "none", "--raw", "5", "--delete"), 13)
    Store(tmp_path / "later").close()
    with Store(tmp_path / "later") as store:
        store.query("PRAGMA user_version = 99")
    assert "of version 99" in refused(quaver("--store", tmp_path / "later", "--raw", "5", "--delete"), 13)
    with Store(tmp_path / "earlier") as store:
        store.query("PRAGMA user_version = 3")
    assert "start quaver ingest once" in refused(quaver("--store", tmp_path / "earlier", "--raw", "5", "--delete"), 13)
    assert "nothing is that old" in quaver("--store", tmp_path / "earlier", "--hourly", "5").stdout
