"""A backup of a store in PostgreSQL: pg_dump's, of one moment, checked, and tested by restoring it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Node
from test_cli import refused
from test_ingest import NOW, Bench

from quaver.bench.postgresql import Postgresql
from quaver.errors import BackupError, StoreError
from quaver.query.source import Place, Source
from quaver.store.copying import digests, tables
from quaver.store.ledger import ledger
from quaver.store.location import PostgresqlUrl, open_records
from quaver.upkeep.backup import manifest_of
from quaver.upkeep.database_backup import back_up, restore

QUAVER = Path(sys.executable).with_name("quaver")
MONTH_MS = 31 * 86_400_000
COUNT = 20


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
def backup(bench: Bench, pump: Node, tmp_path: Path) -> Path:
    bench.take(*(pump.says() for _ in range(COUNT - 1)))
    pump.seq += 1  # one that is lost
    bench.take(pump.says(), now=NOW + MONTH_MS)  # in another partition
    back_up(url_of(bench), tmp_path / "plant.backup")
    return tmp_path / "plant.backup"


def url_of(bench: Bench) -> PostgresqlUrl:
    assert isinstance(bench.path, PostgresqlUrl)
    return bench.path


def empty(server: Postgresql, bench: Bench) -> PostgresqlUrl:
    """A database of its own, with nothing in it but the schema that the store lay in."""
    schema = url_of(bench).text.rpartition("%3D")[2]
    server.run(f"CREATE DATABASE {schema} TEMPLATE template0")
    server.run(f"CREATE SCHEMA {schema}", schema)
    return PostgresqlUrl(f"{server.url(schema)}&options=-csearch_path%3D{schema}")


def quaver(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [QUAVER, "store", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def test_what_is_restored_is_the_store_and_ingest_goes_on(
    bench: Bench, pump: Node, backup: Path, postgresql: Postgresql
) -> None:
    accounts = ledger(bench.store)
    target = empty(postgresql, bench)
    done = quaver("restore", backup, "--store", target)
    assert (done.returncode, done.stderr) == (0, "") and "start it once with --moved" in done.stdout
    with open_records(target, write=False) as other:
        assert ledger(other) == accounts and accounts[0][0].unexplained == 1
        assert digests(other, tables(other)) == digests(bench.store, tables(bench.store))
        places = "SELECT rowid, node, boot, seq, tableoid::regclass::text FROM record ORDER BY rowid"
        assert other.query(places) == bench.store.query(places)
    with Source(target) as source:
        assert len(source.after(Place(), 100)) == COUNT
    bench.store.close()
    bench.path = target
    bench.start()
    assert bench.store.settle(moved=True)[0] == ""
    bench.take(pump.says(), now=NOW + MONTH_MS)
    assert [node.received for node in bench.store.nodes()] == [COUNT + 1]


def test_a_backup_is_of_one_moment_while_ingest_writes(
    bench: Bench, pump: Node, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes between the snapshot and pg_dump's end is in neither of manifest and archive."""
    from quaver.upkeep import database_backup

    run = database_backup._run

    def while_ingest_writes(path: str, *arguments: str) -> str:
        if path.endswith("pg_dump") and len(arguments) > 1:
            bench.take(pump.says(), now=NOW + MONTH_MS)
        return run(path, *arguments)

    monkeypatch.setattr(database_backup, "_run", while_ingest_writes)
    found = back_up(url_of(bench), tmp_path / "other.backup")
    assert len(bench.numbers()) == COUNT + 1 and found.records == COUNT
    listed = subprocess.run(
        ["pg_restore", "--data-only", "--file=-", tmp_path / "other.backup"], capture_output=True, text=True, check=True
    ).stdout
    assert listed.count('"rms_g":0.25') == COUNT


def test_nothing_is_overwritten_or_half_written(
    bench: Bench, backup: Path, tmp_path: Path, postgresql: Postgresql
) -> None:
    there = sorted(tmp_path.iterdir())
    assert "never overwrites" in refused(quaver("backup", backup, "--store", bench.path), 28)
    with pytest.raises(StoreError, match="is not empty; name an empty database"):
        restore(backup, url_of(bench))
    target = tmp_path / "new.backup"
    limited = f'ulimit -f 2; exec {QUAVER} store backup {target} --store "{bench.path}"'
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=120)
    assert "free disk space" in refused(done, 28)
    assert sorted(tmp_path.iterdir()) == there
    assert backup.stat().st_mode & 0o777 == 0o600
    # The database refuses in the middle of it: all or nothing.
    target = empty(postgresql, bench)
    schema = target.text.rpartition("%3D")[2]
    postgresql.run(f"CREATE FUNCTION {schema}.hex(bytea) RETURNS text LANGUAGE sql RETURN ''", schema)
    with pytest.raises(BackupError, match='function "hex" already exists'):
        restore(backup, target)
    with pytest.raises(StoreError, match="has no store"):
        open_records(target, write=False)


def test_a_backup_that_was_altered_or_is_another_is_refused(
    bench: Bench, backup: Path, tmp_path: Path, postgresql: Postgresql
) -> None:
    with pytest.raises(BackupError, match=r"is of the schema made_\d+, and .* means made_\d+; make that schema"):
        restore(backup, PostgresqlUrl(postgresql.create()))
    line = refused(quaver("restore", backup, "--store", tmp_path / "new.sqlite"), 28)
    assert "is of a store in PostgreSQL" in line and "quaver store copy" in line
    data = bytearray(backup.read_bytes())
    data[len(data) // 2] ^= 1
    backup.write_bytes(data)
    with pytest.raises(BackupError, match="it was cut or altered"):
        restore(backup, url_of(bench))
    manifest_of(backup).unlink()
    with pytest.raises(BackupError, match="has no manifest"):
        restore(backup, url_of(bench))


def test_a_program_that_is_missing_or_old_is_named(
    bench: Bench, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.store.postgresql_programs._FOLDER", tmp_path / "none")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(BackupError, match=r"pg_dump: is not installed, .* apt-get install postgresql-client"):
        back_up(url_of(bench), tmp_path / "other.backup")
    for name in ("pg_dump", "pg_restore"):
        (programs / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 9.6.24'\n")
        (programs / name).chmod(0o755)
    with pytest.raises(BackupError, match=r"pg_dump: is of version 9, and 1\d is needed; .*postgresql-client-1\d"):
        back_up(url_of(bench), tmp_path / "other.backup")
    assert not list(tmp_path.glob("*other*"))
    assert json.loads(manifest_of(backup).read_text())["engine"] == "postgresql"


def test_the_password_is_no_argument(postgresql: Postgresql, tmp_path: Path) -> None:
    """It comes from a file, as for every other command; without it nobody is asked at the terminal."""
    url = postgresql.create()
    schema = url.rpartition("%3D")[2]
    postgresql.run(f"CREATE ROLE keeper LOGIN PASSWORD 'hunter2'; GRANT ALL ON SCHEMA {schema} TO keeper")
    mine = url.replace("user=quaver", "user=keeper")
    secret = tmp_path / "pass"
    secret.write_text("*:*:*:keeper:hunter2\n")
    secret.chmod(0o600)
    assert quaver("backup", tmp_path / "a", "--store", mine, PGPASSFILE=str(secret)).returncode == 13  # no store yet
    with pytest.MonkeyPatch.context() as context:
        context.setenv("PGPASSFILE", str(secret))
        open_records(PostgresqlUrl(mine)).close()
    assert quaver("backup", tmp_path / "a", "--store", mine, PGPASSFILE=str(secret)).returncode == 0
    line = refused(quaver("backup", tmp_path / "b", "--store", mine, HOME=str(tmp_path)), 13)
    assert "the server asks for a password" in line and "hunter2" not in line
