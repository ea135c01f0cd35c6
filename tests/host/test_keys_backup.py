"""A backup of the key store: restored whole or not at all, and with no number of a command used twice."""

import subprocess
from pathlib import Path

import pytest
from test_keys import NODE, OTHER, quaver

from quaver.errors import KeyStoreError
from quaver.fleet.backup import back_up, restore
from quaver.fleet.command_numbers import Counter
from quaver.fleet.keys import KeyStore

PASSPHRASE = "seven dry bearings"
QUICK = 2  # scrypt's cost, where its worth is not the matter
NOW = 1_790_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    store = KeyStore(tmp_path / "keys")
    store.create(NODE, "pump-7", days=90)
    return store


def test_a_restored_store_is_the_same_and_its_numbers_go_on_above(store: KeyStore, tmp_path: Path) -> None:
    store.revoke(store.create(OTHER, "fan-1").node_id, "stolen")
    (store.folder / "codes.json").write_bytes(b"{}")
    (store.folder / "codes.json").chmod(0o600)
    counter = Counter(store.folder, lambda: NOW)
    counter.take(NODE)
    back_up(store, tmp_path / "backup", PASSPHRASE, QUICK)
    given = {counter.take(node) for node in (NODE, NODE, OTHER)}  # after the backup, within the hour
    there, twin = tmp_path / "there", tmp_path / "twin"
    there.mkdir()
    assert restore(tmp_path / "backup", there, PASSPHRASE, lambda: NOW).nodes == 2
    restore(tmp_path / "backup", twin, PASSPHRASE, lambda: NOW)
    assert KeyStore(there).nodes() == store.nodes() and KeyStore(there).ended(OTHER, 1) == "revoked"
    assert (there / "codes.json").read_bytes() == b"{}"
    taken = [Counter(there, lambda: NOW).take(node) for node in (NODE, NODE, OTHER)]
    assert all(boot >= NOW + 86_400 for boot, _ in taken) and len({taken[0], taken[1]}) == 2
    assert given.isdisjoint(taken)
    Counter(there, lambda: NOW).jump()
    assert Counter(there, lambda: NOW).take(NODE) > taken[1], "above all that it knows, too"


@pytest.mark.parametrize("what", ["passphrase", "flipped", "cut", "line", "empty", "nonsense", "cost"])
def test_what_is_not_whole_is_refused_and_nothing_is_written(store: KeyStore, tmp_path: Path, what: str) -> None:
    path, there = tmp_path / "backup", tmp_path / "there"
    back_up(store, path, PASSPHRASE, QUICK)
    data = path.read_bytes()
    assert store.device_keys(NODE)[1].hex().encode() not in data
    path.write_bytes(
        {
            "flipped": data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
            "cut": data[:-1],
            "line": data.replace(b'"version": 1', b'"version":  1'),
            "empty": b"",
            "nonsense": b"[" * 900 + b"\n",
            "cost": data.replace(b'"scrypt": 2', b'"scrypt": 1099511627776'),
        }.get(what, data)
    )
    with pytest.raises(KeyStoreError, match=r"nothing was written|is not a backup"):
        restore(path, there, "another one, quite" if what == "passphrase" else PASSPHRASE)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["backup", "keys"]


def test_nothing_is_written_over(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with pytest.raises(KeyStoreError, match="has 5 characters; use 12 or more"):
        back_up(store, path, "short")
    back_up(store, path, PASSPHRASE, QUICK)
    with pytest.raises(KeyStoreError, match="exists; name a new file"):
        back_up(store, path, PASSPHRASE, QUICK)
    with pytest.raises(KeyStoreError, match="is not an empty folder"):
        restore(path, store.folder, PASSPHRASE)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_commands_take_the_passphrase_from_a_private_file(store: KeyStore, tmp_path: Path) -> None:
    secret, path = tmp_path / "secret", tmp_path / "backup"
    secret.write_text(f"{PASSPHRASE}\n")

    def run(verb: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return quaver("keys", verb, path, "--passphrase-file", secret, folder=folder)

    secret.chmod(0o644)
    refused = run("backup", store.folder)
    assert refused.returncode == 12 and "other users can read it" in refused.stderr
    secret.chmod(0o600)
    said = [run("backup", store.folder), run("restore", tmp_path / "there")]
    assert [one.returncode for one in said] == [0, 0], said
    assert "revoke them again" in said[1].stdout and PASSPHRASE not in "".join(one.stdout + one.stderr for one in said)
    assert KeyStore(tmp_path / "there").nodes() == store.nodes()
