"""A backup is the whole store of one moment, is checked before it is used, and overwrites nothing."""

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from fleet import Node
from test_cli import refused
from test_ingest import Bench

from quaver.errors import BackupError
from quaver.query.source import Place, Source
from quaver.store.ledger import ledger
from quaver.store.schema import VERSION
from quaver.store.store import Store
from quaver.upkeep.backup import back_up, manifest_of, restore

QUAVER = Path(sys.executable).with_name("quaver")


def tables(path: Path) -> dict[str, list[Any]]:
    """All that is in a store, and where each record lies."""
    base = sqlite3.connect(path)
    names = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: base.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}
    found["places"] = base.execute("SELECT rowid, node, boot, seq FROM record").fetchall()
    base.close()
    return found


def quaver(*words: object, limit: str = "unlimited") -> subprocess.CompletedProcess[str]:
    shell = f'ulimit -f {limit}; exec "$0" "$@"'  # blocks of 1 kB a file: as a disk that is full
    return subprocess.run(["bash", "-c", shell, QUAVER, "store", *map(str, words)], capture_output=True, text=True,
                          timeout=60)  # fmt: skip


@pytest.fixture
def backup(bench: Bench, pump: Node, tmp_path: Path) -> Path:
    bench.take(*(pump.says() for _ in range(20)))
    back_up(bench.store.path, tmp_path / "plant.backup")
    return tmp_path / "plant.backup"


def test_what_is_restored_is_the_store_and_ingest_goes_on(bench: Bench, pump: Node, backup: Path) -> None:
    kept = bench.store.path.with_name("kept")
    assert restore(backup, kept).records == 20
    assert tables(kept) == tables(bench.store.path)
    with Source(kept) as source:
        assert len(source.after(Place(), 100)) == 20
    bench.store.close()
    bench.path = kept
    bench.start()
    bench.take(pump.says())
    (account,), _ = ledger(bench.store)
    assert (account.received, account.unexplained) == (21, 0)


def test_a_backup_is_of_one_moment_while_ingest_writes(bench: Bench, pump: Node, tmp_path: Path) -> None:
    """Each transaction puts two records in: never is one of them there without the other, or without their node."""
    bench.take(pump.says(), pump.says())
    taken: list[Path] = []
    done = threading.Event()

    def take() -> None:
        for number in range(5):
            back_up(bench.path, tmp_path / f"{number}.backup")
            taken.append(tmp_path / f"{number}.backup")
        done.set()

    thread = threading.Thread(target=take)
    thread.start()
    while not done.is_set() and thread.is_alive():
        bench.take(pump.says(), pump.says())
    thread.join()
    assert len(taken) == 5
    for one in taken:
        found = restore(one, one.with_suffix(".sqlite"))
        with Store(one.with_suffix(".sqlite"), write=False) as store:
            (account,), _ = ledger(store)
        assert found.records % 2 == 0 and account.received == found.records and account.unexplained == 0


@pytest.mark.parametrize("place", [0.05, 0.5, 0.99])
def test_a_backup_that_was_altered_is_refused(backup: Path, tmp_path: Path, place: float) -> None:
    data = bytearray(backup.read_bytes())
    data[int(len(data) * place)] ^= 1
    backup.write_bytes(data)
    with pytest.raises(BackupError, match=r"cut or altered|corrupt"):
        restore(backup, tmp_path / "new")
    assert not list(tmp_path.glob("*new*"))


def test_a_backup_that_was_cut_or_is_another_is_refused(backup: Path, bench: Bench, pump: Node, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    backup.write_bytes(whole[:-4096])
    assert refused(quaver("restore", backup, "--store", tmp_path / "new"), 28)
    bench.take(pump.says())
    back_up(bench.store.path, tmp_path / "other.backup")
    backup.write_bytes((tmp_path / "other.backup").read_bytes())
    assert "not what its manifest says" in refused(quaver("restore", backup, "--store", tmp_path / "new"), 28)
    manifest_of(backup).unlink()
    assert "no whole backup" in refused(quaver("restore", backup, "--store", tmp_path / "new"), 28)
    assert not list(tmp_path.glob("*new*"))


def test_a_manifest_of_a_later_version_or_of_nothing_is_refused(backup: Path, tmp_path: Path) -> None:
    manifest = json.loads(manifest_of(backup).read_text())
    manifest_of(backup).write_text(json.dumps(manifest | {"version": VERSION + 1}))
    assert f"of version {VERSION + 1}" in refused(quaver("restore", backup, "--store", tmp_path / "new"), 28)
    manifest_of(backup).write_text("[]")
    assert "is no manifest" in refused(quaver("restore", backup, "--store", tmp_path / "new"), 28)


def test_nothing_is_overwritten(backup: Path, bench: Bench) -> None:
    before = bench.path.read_bytes(), backup.read_bytes()
    assert "never overwritten" in refused(quaver("restore", backup, "--store", bench.path), 28)
    assert "never overwrites" in refused(quaver("backup", backup, "--store", bench.path), 28)
    assert (bench.path.read_bytes(), backup.read_bytes()) == before


def test_a_full_disk_leaves_nothing_half_written(backup: Path, bench: Bench, tmp_path: Path) -> None:
    there = sorted(tmp_path.iterdir())
    line = refused(quaver("backup", tmp_path / "new.backup", "--store", bench.path, limit="20"), 28)
    assert "free disk space" in line
    line = refused(quaver("restore", backup, "--store", tmp_path / "new", limit="20"), 28)
    assert "free disk space" in line
    assert sorted(tmp_path.iterdir()) == there


def test_wrong_paths_are_one_line(backup: Path, tmp_path: Path) -> None:
    assert "no such store" in refused(quaver("backup", tmp_path / "new", "--store", tmp_path / "none"), 13)
    assert "can't be written" in refused(quaver("restore", backup, "--store", tmp_path / "no/folder"), 28)
    assert "not a Quaver store" in refused(quaver("backup", tmp_path / "new", "--store", other(tmp_path)), 13)
    assert "no whole backup" in refused(quaver("restore", tmp_path / "none", "--store", tmp_path / "new"), 28)


def other(tmp_path: Path) -> Path:
    base = sqlite3.connect(tmp_path / "other.db")
    base.execute("CREATE TABLE mine (a)")
    base.commit()
    base.close()
    return tmp_path / "other.db"
