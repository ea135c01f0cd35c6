"""What a store in PostgreSQL does its own way: its URL, who may open it, its months, and a server that goes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Node
from test_ingest import FAN, NOW, PUMP, Bench

from quaver.bench.postgresql import QUICK, Postgresql
from quaver.broker.reader import Message
from quaver.cli import main
from quaver.errors import StoreAway, StoreError
from quaver.fleet.keys import KeyStore
from quaver.store.location import Location, PostgresqlUrl, open_records, parse_location
from quaver.store.postgresql import PostgresqlStore
from quaver.store.schema import VERSION

MONTH_MS = 31 * 86_400_000


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plant.sqlite", Path("plant.sqlite")),
        ("/a/b:c", Path("/a/b:c")),
        ("odd:name", Path("odd:name")),
        ("sqlite:plant.sqlite", Path("plant.sqlite")),
        ("sqlite:///srv/plant.sqlite", Path("/srv/plant.sqlite")),
        ("postgresql://quaver@db:5433/plant", PostgresqlUrl("postgresql://quaver@db:5433/plant")),
        ("postgres:///plant?host=/run/postgresql", PostgresqlUrl("postgres:///plant?host=/run/postgresql")),
    ],
)
def test_a_store_is_a_file_or_a_url(text: str, found: Location) -> None:
    assert parse_location(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://quaver:hunter2@db/plant", "has a password, which every user of this machine can read"),
        ("postgresql://db/plant?password=hunter2", "put it into ~/.pgpass"),
        ("postgresql://db", "names no database; write its host and /NAME behind //"),
        ("postgresql:plant", "names no database"),
        ("postgresql://[::1/plant", "is no URL"),
        ("mysql://db/plant?password=hunter2", "no store of that kind"),
        ("sqlite:", "names no file"),
    ],
)
def test_a_wrong_url_is_refused_in_a_line(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--store", text]) == 13
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "hunter2" not in error


def test_without_the_library_files_work_and_a_database_names_it() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None; import quaver.ingest.run, quaver.query.source; "
        "from quaver.cli import main; sys.exit(main(['ledger', '--store', 'postgresql://db/plant']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        13, "quaver: postgresql: needs the library psycopg; run: pip install 'quaver[postgresql]'\n"
    )  # fmt: skip


def test_a_url_without_a_password_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--store", "postgresql://quaver@127.0.0.1:1/plant"]) == 13
    assert capsys.readouterr().err.startswith("quaver: postgresql://…@127.0.0.1:1/plant: the database does not answer")


def run(url: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quaver.cli", *(words or ("ledger",)), "--store", url]
    cleared = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=cleared | environment)


def test_who_may_open_it(postgresql: Postgresql, tmp_path: Path) -> None:
    """The password comes from a file or the environment; what is wrong is one line."""
    postgresql.run("CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    url = postgresql.create()
    open_records(PostgresqlUrl(url)).close()
    schema = url.rpartition("%3D")[2]
    postgresql.run(f"GRANT USAGE ON SCHEMA {schema} TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
    mine = url.replace("user=quaver", "user=reader")
    for environment, said in (
        ({}, "the server asks for a password: put it into ~/.pgpass"),
        ({"PGPASSWORD": "wrong"}, "the server refuses the user or the password"),
    ):
        done = run(mine, HOME=str(tmp_path), **environment)
        assert (done.returncode, done.stderr.count("\n")) == (13, 1) and said in done.stderr, done.stderr
        assert "hunter2" not in done.stderr and "wrong" not in done.stderr
    secret = tmp_path / "pass"
    secret.write_text("*:*:*:reader:hunter2\n")
    secret.chmod(0o600)
    assert run(mine, PGPASSFILE=str(secret)).returncode == 0
    with pytest.raises(StoreError, match="password"):
        open_records(PostgresqlUrl(mine))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("/postgres?", "/none?"), 'database "none" does not exist; make it with createdb'),
        (lambda url: url.replace("host=/tmp", "host=/nowhere"), "the database does not answer"),
        (lambda url: url, "has no store; quaver ingest --store"),
    ],
)
def test_a_database_that_is_none(postgresql: Postgresql, change: object, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        open_records(PostgresqlUrl(change(postgresql.create())), write=False)  # type: ignore[operator]


def test_a_database_of_others_or_of_later_is_left_alone(postgresql: Postgresql) -> None:
    url = postgresql.create()
    schema = url.rpartition("%3D")[2]
    postgresql.run(f"CREATE TABLE {schema}.meta (name TEXT, value TEXT)")
    for write in (False, True):
        with pytest.raises(StoreError, match="holds tables that are not Quaver's; name an empty database"):
            open_records(PostgresqlUrl(url), write)
    url = postgresql.create()
    with open_records(PostgresqlUrl(url)) as store, store.transaction():
        store.put_meta({"version": str(VERSION + 1)})
    for write in (False, True):
        with pytest.raises(
            StoreError, match=f"is of version {VERSION + 1}, this quaver reads {VERSION}; update quaver"
        ):
            open_records(PostgresqlUrl(url), write)


def test_an_older_version_becomes_this_one(postgresql: Postgresql) -> None:
    url = PostgresqlUrl(postgresql.create())
    with open_records(url) as store, store.transaction():
        for table in ("removed", "removal", "hourly"):
            store._run(f"DROP TABLE {table}")
        store._run("ALTER TABLE node ADD COLUMN oldest_boot BIGINT NOT NULL DEFAULT 0")
        store._run("CREATE TABLE seen (worker TEXT)")
        store.put_meta({"version": "3"})
    with open_records(url, write=False) as store:
        assert store.version == 3
    with open_records(url) as store:
        assert store.version == VERSION and store.query("SELECT count(*) FROM hourly") == [(0,)]
        assert store.query("SELECT to_regclass('seen') IS NULL") == [(True,)]


def test_records_lie_by_the_month_of_their_receipt_and_are_there_once(bench: Bench, pump: Node) -> None:
    first = pump.says()
    bench.take(first, pump.says())
    bench.take(pump.says(), first, now=NOW + MONTH_MS)  # the copy came in another month
    parts = "SELECT tableoid::regclass::text, count(*) FROM record GROUP BY 1 ORDER BY 1"
    assert bench.store.query(parts) == [("record_2026_09", 2), ("record_2026_10", 1)]
    assert bench.store.query("SELECT count(*) FROM record_key") == [(3,)]
    # An old month that is dropped takes no number with it: what comes again is no new record.
    bench.store.query("DROP TABLE record_2026_09")
    bench.restart()
    bench.take(first, now=NOW + MONTH_MS)
    assert (bench.numbers(), bench.refused()) == ([(1, 2)], {(PUMP.hex(), "replay"): 1})


def test_workers_have_names_of_their_own(postgresql: Postgresql) -> None:
    url = postgresql.create()
    with PostgresqlStore(url, worker="a"), PostgresqlStore(url, worker="b"):
        with pytest.raises(StoreError, match="the worker a runs already"):
            PostgresqlStore(url, worker="a")
        with pytest.raises(StoreError, match="another quaver ingest writes to it; stop that one, or give"):
            PostgresqlStore(url)
        with PostgresqlStore(url, beside=True) as other, other.transaction():
            other.put_meta({"x": "y"})
    with PostgresqlStore(url), pytest.raises(StoreError, match="a quaver ingest without --worker writes to it"):
        PostgresqlStore(url, worker="a")


class Two:
    """Two workers of one store."""

    def __init__(self, location: PostgresqlUrl, keys: KeyStore) -> None:
        self.a, self.b = (Bench(location, keys, worker) for worker in "ab")


@pytest.fixture
def two(postgresql: Postgresql, keys: KeyStore) -> Iterator[Two]:
    two = Two(PostgresqlUrl(postgresql.create()), keys)
    yield two
    two.a.store.close()
    two.b.store.close()


def test_a_replay_is_one_whichever_worker_gets_it(two: Two, pump: Node) -> None:
    first = pump.says()
    two.a.take(first, *(pump.says() for _ in range(100)))
    two.b.take(first)  # within the window: its acknowledgement was lost
    assert (two.b.intake.tally.duplicates, two.b.refused()) == (1, {})
    two.b.take(*(pump.says() for _ in range(156)))
    two.a.take(first)  # the 257th
    assert two.a.refused() == {(PUMP.hex(), "replay"): 1}
    other = pump.says()._replace(payload=pump.seal(at=(1, 0), rms_g=9.0))
    two.b.take(other)
    assert two.b.refused()[PUMP.hex(), "conflict"] == 1
    assert [node.received for node in two.a.store.nodes()] == [257]


def test_what_was_held_too_long_may_be_there_by_another_and_is_no_replay(two: Two, pump: Node) -> None:
    """As NATS does, whose servers hand a message on that a worker has held for half a minute."""
    early = [pump.says() for _ in range(3)]
    two.a.intake.take(early, NOW)
    two.b.take(*(message._replace(again=True) for message in early), *(pump.says() for _ in range(300)))
    two.a.intake.stale = lambda: True
    two.a.intake.commit(NOW)
    assert (two.a.intake.tally.duplicates, two.a.refused()) == (3, {})
    two.a.intake.stale = lambda: False
    two.a.take(early[0])
    assert two.a.refused() == {(PUMP.hex(), "replay"): 1}


def test_a_worker_that_is_behind_loses_no_boot(two: Two, pump: Node) -> None:
    """What waited for one worker while the node told the other that its journal has no more of it."""
    early = [pump.says() for _ in range(3)]
    two.a.take(early[0])
    two.b.take(pump.boots(oldest_boot=2), pump.says())
    two.a.take(early[1])
    two.b.take(early[2]._replace(again=True))  # the broker gives to one what the other did not acknowledge
    assert (two.a.refused(), two.b.refused(), len(two.b.numbers())) == ({}, {}, 5)


def test_a_boot_that_comes_late_is_bounded_by_none_after_it(two: Two, pump: Node) -> None:
    first = pump.says(uptime_ms=1000)
    second = pump.boots(uptime_ms=1000, time_ms=NOW - 5000)
    two.b.take(second)
    two.a.take(first, now=NOW)
    rows = "SELECT boot, dated_by, uncertain_ms FROM dated ORDER BY boot"
    assert two.a.store.query(rows) == [(1, "receipt", None), (2, "node", 0)]


def test_each_node_has_one_number_whoever_hears_it_first(two: Two, keys: KeyStore, pump: Node) -> None:
    fan = Node(keys, FAN, "fan-1")
    two.a.take(pump.says())
    two.b.take(fan.says(), pump.says())
    two.a.take(fan.says())
    assert [(node.topic[-6:], node.received) for node in two.a.store.nodes()] == [("/fan-1", 2), ("pump-7", 2)]


def test_a_database_that_goes_is_waited_for_and_nothing_comes_twice(keys: KeyStore, pump: Node) -> None:
    with Postgresql(QUICK) as server:
        bench = Bench(PostgresqlUrl(server.create()), keys)
        bench.take(pump.says())
        said: list[str] = []

        def wait(line: str) -> None:
            said.append(line)
            if len(said) == 2:
                server.start()

        message = pump.says()
        with pytest.raises(StoreAway, match="does not answer"), bench.store.transaction():
            server.stop()
            bench.store.query("SELECT 1")
        bench.store.wait = wait
        bench.take(message, pump.says())
        assert "waiting until it is back" in said[0] and said[-1] == ""
        assert (bench.numbers(), bench.intake.tally.received) == ([(1, 0), (1, 1), (1, 2)], 3)
        # A commit of which nobody heard: the records are there, and are no replay.
        many = [pump.says() for _ in range(300)]
        real, cut = bench.store._commit, []

        def commit() -> None:
            real()
            if not cut:
                cut.append(server.stop())
                said.clear()
                bench.store.query("SELECT 1")

        bench.store._commit = commit  # type: ignore[method-assign]
        bench.take(*many)
        assert len(bench.numbers()) == 303 and bench.refused() == {} and said[-1] == ""
        bench.store.close()


def test_a_full_disk_of_the_server_is_told_and_loses_nothing(bench: Bench, pump: Node) -> None:
    """The server's own error for it, raised in the middle of a batch."""
    bench.take(pump.says())
    script = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.seq > 3 THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END IF; "
        "RETURN NEW; END $$"
    )
    bench.store.query(script)
    bench.store.query("CREATE TRIGGER fills BEFORE INSERT ON record FOR EACH ROW EXECUTE FUNCTION full_disk()")
    messages: list[Message] = [pump.says() for _ in range(5)]
    with pytest.raises(StoreError, match="the server's disk is full; free some space there"):
        bench.take(*messages)
    bench.store.query("DROP TRIGGER fills ON record")
    bench.restart()
    assert bench.numbers() == [(1, 0)] and bench.store.nodes()[0].received == 1
    bench.take(*messages)
    assert len(bench.numbers()) == 6 and bench.intake.tally.received == 5
