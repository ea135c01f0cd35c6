"""The key store: its owner's alone, whole or refused, and silent about keys."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quaver.errors import KeyStoreError, OperationError
from quaver.fleet.grants import GrantStore
from quaver.fleet.keys import KeyStore, parse_node_id
from quaver.fleet.link_keys import LinkKey, write_link_keys
from quaver.fleet.sealed_command import Commands
from quaver.gateway.links import KeyFile

NODE = bytes.fromhex("e6614c311b7e6f25")
OTHER = bytes.fromhex("0000aabbccddeeff")


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def quaver(*arguments: object, folder: Path, give: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "QUAVER_KEYS": str(folder)}
    command = [sys.executable, "-m", "quaver.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, input=give)


def test_a_node_id_as_people_write_it() -> None:
    assert parse_node_id("E6614C311B7E6F25") == NODE
    assert parse_node_id("aa:bb:cc:dd:ee:ff") == OTHER  # an ESP32's id has six bytes
    for wrong in ("", "xyz", "e6614c311b7e6f2500", "0x12"):
        with pytest.raises(KeyStoreError, match="expected up to 16 hexadecimal digits"):
            parse_node_id(wrong)


def test_what_was_created_is_read_by_another(store: KeyStore) -> None:
    made = store.create(NODE, "pump-7")
    again = KeyStore(store.folder)
    assert again.device_keys(NODE) == made.keys == {1: made.keys[1]}
    assert len(made.keys[1]) == 32 and made.keys[1] != store.create(OTHER).keys[1]
    assert again.refresh() and {n.name for n in again.nodes()} == {"pump-7", OTHER.hex()}
    assert not again.refresh()
    assert again.device_keys(bytes(8)) == {}


def test_an_id_that_is_not_8_bytes_is_refused_before_it_is_written(store: KeyStore) -> None:
    with pytest.raises(KeyStoreError, match="expected 8 bytes, with zeros on the left"):
        store.create(OTHER[2:])
    assert not store.path.exists()


def test_the_file_is_its_owners_alone_whatever_the_umask(store: KeyStore) -> None:
    before = os.umask(0)
    try:
        store.create(NODE)
        store.export(NODE, store.folder / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((store.folder / "out").stat().st_mode) == 0o600


def test_an_open_store_is_refused_for_reading_and_writing(store: KeyStore) -> None:
    store.create(NODE)
    for path, mode, closed in ((store.path, 0o640, 0o600), (store.folder, 0o755, 0o700)):
        path.chmod(mode)
        for act in (lambda: KeyStore(store.folder).nodes(), lambda: KeyStore(store.folder).rotate(NODE)):
            with pytest.raises(KeyStoreError, match=rf"other users can access it .*chmod {closed:o}"):
                act()
        path.chmod(closed)
    assert KeyStore(store.folder).device_keys(NODE).keys() == {1}


def test_no_way_around_through_a_link(store: KeyStore, tmp_path: Path) -> None:
    store.create(NODE)
    link = tmp_path / "link"
    link.symlink_to(store.folder)
    with pytest.raises(KeyStoreError, match="not a plain folder"):
        KeyStore(link).nodes()
    real = tmp_path / "elsewhere"
    store.path.rename(real)
    store.path.symlink_to(real)
    with pytest.raises(KeyStoreError):
        KeyStore(store.folder).nodes()


@pytest.mark.parametrize("damage", ["cut", "digit", "empty", "nonsense", "nested", "entry", "later"])
def test_a_corrupt_store_is_refused_and_left_as_it_is(store: KeyStore, damage: str) -> None:
    key = store.create(NODE).keys[1].hex()
    text = store.path.read_text()
    other = "0" if key[9] != "0" else "1"
    damaged = {
        "cut": text[: len(text) // 2],
        "digit": text.replace(key, key[:9] + other + key[10:]),
        "empty": "",
        "nonsense": '{"version": 1, "nodes": 5}',
        "nested": "[" * 200_000,
        "entry": text.replace('"name"', '"nom"'),
        "later": text.replace('"version": 1', '"version": 3'),
    }[damage]
    store.path.write_text(damaged)
    for act in (lambda s: s.nodes(), lambda s: s.create(OTHER), lambda s: s.remove(NODE)):
        with pytest.raises(KeyStoreError, match=r"corrupt, and not changed|of version 3") as caught:
            act(KeyStore(store.folder))
        assert key not in str(caught.value)
    assert store.path.read_text() == damaged


def test_a_write_that_fails_changes_nothing(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(NODE)
    before = store.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyStoreError, match=r"No space left on device.*nothing has changed"):
        store.rotate(NODE)
    monkeypatch.undo()
    assert store.path.read_bytes() == before
    assert sorted(path.name for path in store.folder.iterdir()) == [".keys.lock", store.path.name]


def test_without_a_lock_no_key_is_changed(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(NODE)

    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(KeyStoreError, match=r"gives no lock .*nothing has changed"):
        store.rotate(NODE)
    monkeypatch.undo()
    assert KeyStore(store.folder).nodes()[0].generation == 1


def test_technicians_who_change_keys_at_once_lose_none(store: KeyStore) -> None:
    store.create(NODE)
    code = "import sys; from pathlib import Path; from quaver.fleet.keys import KeyStore\n"
    code += "for n in range(8): KeyStore(Path(sys.argv[1])).create(bytes([int(sys.argv[2])]) * 7 + bytes([n]))"
    running = [subprocess.Popen([sys.executable, "-c", code, str(store.folder), str(who)]) for who in range(1, 5)]
    assert [process.wait(30) for process in running] == [0] * 4
    assert len(KeyStore(store.folder).nodes()) == 33


def test_rotation_keeps_the_old_key_until_it_is_forgotten(store: KeyStore) -> None:
    first = store.create(NODE).keys[1]
    rotated = store.rotate(NODE)
    assert rotated.generation == 2 and rotated.keys[1] == first != rotated.keys[2]
    assert store.forget(NODE) == [1] and store.forget(NODE) == []
    assert KeyStore(store.folder).device_keys(NODE) == {2: rotated.keys[2]}


def test_an_end_is_kept_and_a_quaver_that_knows_none_refuses_the_store(store: KeyStore) -> None:
    store.create(NODE, "pump-7", days=40)
    assert json.loads(store.path.read_text())["version"] == 2
    store.create(OTHER, "fan-1")
    assert store.ended(NODE, 1) is store.ended(OTHER, 1) is None and store.warning() == ""
    store.clock = lambda: time.time() + 11 * 86_400
    assert [(node.name, node.days_left(store.clock())) for node in store.expiring()] == [("pump-7", 28)]
    assert store.warning().startswith("keys expire: pump-7 in 28 d; records are refused")
    assert list(store.ending()) == [NODE]
    store.clock = lambda: time.time() + 41 * 86_400
    assert store.ended(NODE, 1) == "expired" and store.expiring() == [] and list(store.ending()) == [NODE]
    rotated = store.rotate(NODE)
    assert rotated.end().days == 40 and store.ended(NODE, 2) is None, "as long as the one before"
    assert store.rotate(NODE, None).end().expires is None
    store.revoke(NODE, "stolen")
    again = KeyStore(store.folder)
    assert again.ending() == {}
    assert [again.ended(NODE, generation) for generation in (1, 2, 3, 4)] == ["revoked"] * 3 + ["removed"]
    with pytest.raises(KeyStoreError, match="is revoked, and stays so"):
        again.expire(NODE, None)
    with pytest.raises(OperationError, match="is revoked: no command is sent"):
        Commands(again).seal(again.nodes()[1], 3, "reboot", {}, identity=1, expires_s=1)
    for days in (0, 36_501):
        with pytest.raises(KeyStoreError, match="from 1 to 36500 days"):
            again.rotate(OTHER, days)


def test_a_revoked_node_is_taken_from_the_gateways_here(store: KeyStore, tmp_path: Path) -> None:
    store.create(NODE, "pump-7")
    store.create(OTHER, "fan-1", days=2)
    grants = GrantStore(store)
    grants.write(grants.grant("gateway-1", [NODE, OTHER], tmp_path / "link.keys"))
    grants.grant("board-1", [NODE], None)
    gateway = KeyFile(tmp_path / "link.keys")
    assert gateway.has(NODE) and gateway.has(OTHER)
    result = quaver("keys", "revoke", "pump-7", "--reason", "stolen", folder=store.folder)
    assert result.returncode == 0 and "revoked" in result.stdout and result.stdout.endswith("pump-7: board-1\n")
    assert not gateway.has(NODE) and gateway.has(OTHER)
    shown = quaver("keys", "list", folder=store.folder).stdout
    assert "stolen" in shown and "(in 1 day)" in shown
    result = quaver("keys", "expire", "fan-1", "soon", folder=store.folder)
    assert result.returncode == 2 and "a number of days from 1 to 36500, or never" in result.stderr
    assert quaver("keys", "expire", "fan-1", "never", folder=store.folder).returncode == 0
    assert store.refresh() and store.nodes()[0].end().expires is None


def test_a_gateway_lets_go_of_a_key_that_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node keeps its records then: ingest would refuse them."""
    write_link_keys(tmp_path / "k", "gateway-1", [LinkKey(NODE, 1, 1, bytes(32), expires=int(time.time()) + 60)])
    gateway = KeyFile(tmp_path / "k")
    assert gateway.has(NODE)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert not gateway.has(NODE)


def test_names_and_ids_are_given_once(store: KeyStore) -> None:
    store.create(NODE, "pump-7")
    with pytest.raises(KeyStoreError, match="enrolled already, as pump-7"):
        store.create(NODE)
    with pytest.raises(KeyStoreError, match=f"node {NODE.hex()} has that name"):
        store.create(OTHER, "pump-7")
    for name in ("a/b", "#", "x" * 25, "a\nb"):
        with pytest.raises(KeyStoreError, match="expected 1 to 24 printable characters"):
            store.rename(NODE, name)
    for act in (store.rotate, store.remove, store.forget):
        with pytest.raises(KeyStoreError, match="is not enrolled"):
            act(OTHER)


def test_no_command_prints_a_key(store: KeyStore, tmp_path: Path) -> None:
    out = tmp_path / "pump.key"
    said = ""
    for arguments in (
        ("create", NODE.hex(), "--name", "pump-7"),
        ("list",),
        ("list", "--json"),
        ("rotate", NODE.hex()),
        ("export", NODE.hex(), out),
        ("rename", NODE.hex(), "pump-8"),
        ("forget", NODE.hex()),
        ("--debug", "create", NODE.hex()),
    ):
        result = quaver("keys", *arguments, folder=store.folder)
        assert result.returncode == (12 if "--debug" in arguments else 0), result.stderr
        said += result.stdout + result.stderr
    assert out.read_bytes() == KeyStore(store.folder).device_keys(NODE)[2]
    for key in (out.read_bytes(),):
        assert key.hex() not in said and repr(key)[2:10] not in said
    listed = json.loads(quaver("keys", "list", "--json", folder=store.folder).stdout)
    assert listed == {"id": NODE.hex(), "name": "pump-8", "generations": [2], "created": listed["created"]}


def test_a_key_moves_to_another_store_by_a_file(store: KeyStore, tmp_path: Path) -> None:
    store.create(NODE)
    out, there = tmp_path / "key", tmp_path / "there"
    store.export(NODE, out)
    with pytest.raises(KeyStoreError, match="exists; name a new file"):
        store.export(NODE, out)
    assert quaver("keys", "create", NODE.hex(), "--from", out, folder=there).returncode == 0
    assert KeyStore(there).device_keys(NODE) == store.device_keys(NODE)
    out.write_bytes(b"short")
    result = quaver("keys", "create", OTHER.hex(), "--from", out, folder=there)
    assert result.returncode == 12 and "a device key has 32 bytes, not 5" in result.stderr


def test_removing_asks_first(store: KeyStore) -> None:
    store.create(NODE)
    result = quaver("keys", "remove", NODE.hex(), folder=store.folder, give="n\n")
    assert result.returncode == 12 and result.stderr.endswith(" keeps its keys: the answer was no\n")
    result = quaver("keys", "remove", OTHER.hex(), folder=store.folder, give="y\n")
    assert result.returncode == 12 and "Remove it?" not in result.stderr and "is not enrolled" in result.stderr
    assert KeyStore(store.folder).get(NODE) is not None
    assert quaver("keys", "remove", NODE.hex(), "--yes", folder=store.folder).returncode == 0
    assert KeyStore(store.folder).get(NODE) is None


def test_a_store_that_is_not_there_is_told(store: KeyStore) -> None:
    result = quaver("keys", "list", folder=store.folder)
    assert result.returncode == 12 and "there is no key store; create one with: quaver keys create" in result.stderr
    assert not store.folder.exists()
