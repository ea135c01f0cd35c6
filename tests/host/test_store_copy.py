"""A store is copied between engines, exactly: resumed where it was cut, compared at the end, refused where it can't."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import HOUR_MS, Node
from test_ingest import FAN, NOW, Bench

from quaver.bench.postgresql import Postgresql
from quaver.errors import StoreError
from quaver.fleet.keys import KeyStore
from quaver.store import copying
from quaver.store.copying import copy, tables
from quaver.store.ledger import ledger
from quaver.store.location import Location, PostgresqlUrl, open_records

DATED = "SELECT node, boot, seq, time_ms, dated_by, uncertain_ms, received_ms, body FROM dated ORDER BY node, boot, seq"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(tmp_path: Path, postgresql: Postgresql) -> Callable[[str], Location]:
    return lambda engine: tmp_path / "copy" if engine == "sqlite" else PostgresqlUrl(postgresql.create())


@pytest.fixture
def filled(bench: Bench, pump: Node, keys: KeyStore) -> Bench:
    """Two nodes with all that a store can know: gaps, drops, clocks, spectra, refusals, a backslash and an umlaut."""
    fan = Node(keys, FAN, "fan-1")
    bench.take(
        pump.boots(text="a\\b\tc\nü", uptime_ms=500), *(pump.says(uptime_ms=n, time_ms=NOW + n) for n in range(9))
    )
    pump.seal()
    late = pump.says(uptime_ms=9000, time_ms=NOW - HOUR_MS)
    bench.take(late, fan.says("status"), fan.boots(drops=[1, 0, 3]), fan.says(), pump.says(time_ms=7), now=NOW + 9000)
    bench.take(*(pump.says() for _ in range(300)), now=NOW + 40 * 24 * HOUR_MS)  # another month, and beyond the window
    bench.take(late, now=NOW + 40 * 24 * HOUR_MS)
    assert bench.intake.tally.refused == {"clock": 2, "replay": 1}
    return bench


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
def test_a_copy_is_the_same_in_all(filled: Bench, pump: Node, other: str, make: Callable[[str], Location]) -> None:
    there = make(other)
    said: list[tuple[str, int]] = []
    with open_records(there) as target:
        found = copy(filled.store, target, lambda *words: said.append(words))
        assert (
            found["record"].rows == 315
            and found["node"].rows == 2
            and {name for name, _ in said} == {name for name, digest in found.items() if digest.rows}
        )
        assert target.query(DATED) == filled.store.query(DATED) and ledger(target) == ledger(filled.store)
        order = "SELECT node, boot, seq FROM record ORDER BY rowid"
        assert target.query(order) == filled.store.query(order)
        former = target.client_id
    with open_records(there) as target:
        assert former == filled.store.client_id and target.settle() == (former, "")
        assert target.client_id != former and target.settle()[0] == ""
        mine = target.client_id
        assert target.settle(moved=True) == ("", mine) and target.client_id == former
        with pytest.raises(StoreError, match="has records already; name a new store"):
            copy(filled.store, target, lambda *words: None)
    # The copy knows what was taken, and goes on.
    filled.store.close()
    filled.path = there
    filled.start()
    again = pump.seal(at=(2, pump.seq - 1))
    filled.take(pump.says(), pump.says()._replace(payload=again))
    assert (len(filled.numbers()), filled.intake.tally.received) == (316, 1)


class Cut(Exception):
    pass


def test_a_copy_that_was_cut_goes_on(
    filled: Bench, make: Callable[[str], Location], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_BATCH", 50)
    there, other = make("postgresql"), make("postgresql")
    batches: list[tuple[str, int]] = []

    def cut_at(number: int) -> Callable[[str, int], None]:
        def step(table: str, rows: int) -> None:
            batches.append((table, rows))
            if len(batches) == number:
                raise Cut

        return step

    for number in (3, 9):  # in the records, and in a table
        with pytest.raises(Cut), open_records(there) as target:
            copy(filled.store, target, cut_at(number))
    with open_records(there) as target:
        copy(filled.store, target, cut_at(0))
        assert target.query(DATED) == filled.store.query(DATED)
        assert sum(rows for table, rows in batches if table == "record") == 315  # each record went over once
    with open_records(other) as target:
        with pytest.raises(Cut):
            copy(filled.store, target, cut_at(len(batches) + 1))
        with open_records(make("sqlite")) as foreign, pytest.raises(StoreError, match="copy of another store"):
            copy(foreign, target, cut_at(0))


def test_a_source_that_changed_meanwhile_is_told(filled: Bench, make: Callable[[str], Location]) -> None:
    there = make("sqlite")

    def step(table: str, _rows: int) -> None:
        if table == "node":
            filled.store.query("UPDATE record SET uptime_ms = uptime_ms + 1 WHERE boot = 2")

    with open_records(there) as target, pytest.raises(StoreError, match=r"differs from that of .*copy again"):
        copy(filled.store, target, step)


def test_the_schema_is_read_whole(bench: Bench) -> None:
    """What a later version adds is copied too."""
    columns = {table.name: list(table.columns) for table in tables(bench.store)}
    for name, found in columns.items():
        named = bench.store.query(f"SELECT {', '.join(found)} FROM {name}")
        assert named is not None and len(found) > 1
    if isinstance(bench.path, Path):
        there = {name for (name,) in bench.store.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert there == {*columns, "meta", "record"}
        assert {
            name: [row[1] for row in bench.store.query(f"PRAGMA table_info({name})")] for name in columns
        } == columns
