"""What a person is told who gives a command something wrong: one line, that says what to do, and an exit code."""

from pathlib import Path

import pytest

from quaver.cli import main
from quaver.fleet.keys import KeyStore
from quaver.provision.identity import Codes, new_code


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUAVER_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    KeyStore(tmp_path / "keys").create(bytes(8), "pump-7")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The one line of a failure, checked to be one."""
    assert main(list(arguments)) == code
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--broker", "nonsense://x"),
            "quaver: broker URL: its scheme is not one of mqtt://, tcp://, mqtts://; expected mqtt",
        ),
        (
            ("--listen", "host/path"),
            "quaver: broker URL: the address is invalid; / # ? @ and % in a user or password must",
        ),
    ],
)
def test_provision_takes_no_broker_that_can_not_be_one(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert refused(capsys, 7, "provision", *arguments).startswith(words)


def test_provision_limits_its_patience(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, 2, "provision", "--limit", "-5").startswith("quaver: Invalid value for '--limit': -5.0 is")


def test_provision_says_why_no_node_is_found_and_keeps_no_run_about_none(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.provision.hands._LOOKS_S", (0.05,))
    absent = "quaver: no node answers: /dev/nope: can't be opened (No such file or directory); check the cable, "
    assert refused(capsys, 14, "provision", "--json", "--port", "/dev/nope").startswith(absent)
    monkeypatch.setattr("quaver.cli.provision._serial_ports", list)
    for _ in range(2):  # the second has nothing of the first to go on with
        assert main(["provision"]) == 14
        assert capsys.readouterr().err.splitlines() == [
            "· looking for nodes",
            "quaver: no node answers; connect it, then switch it off and on",
        ]
    assert not (home / "keys" / "provision.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("gateway", "--nodes", "nodes.json"), 17, "nodes.json: node 'zz': expected an id of 16 hexadecimal digits"),
        (
            ("gateway", "--nodes", "good.json", "--store", "nodes.json"),
            13,
            "nodes.json: is not an SQLite file; name another",
        ),
        (("emulate", "nope"), 6, "board 'nope': can't be emulated; expected one of pico_w, esp32_c3, unix"),
        (("emulate", "unix", "--model", "ball", "--bearing", "7"), 2, "--bearing 7: not in the library: 6203, 6204, "),
        (("node", "pump-7", "config", "set", "interval_s"), 2, "interval_s: expected PATH=VALUE, as in interval_s=30"),
        (("node", "pump-7", "config", "set", "wifi.password=x"), 2, "wifi.password: write wifi.password=- and type"),
        (("node", "pump-7", "waveform", "--output", "x.txt"), 18, "x.txt: expected a name that ends in .npz or .wav"),
        (
            ("label", "7f", "--pdf", "x.pdf"),
            14,
            "7f: no node with that id was flashed here; quaver flash creates its code",
        ),
        (
            ("label", "00", "--pdf", "x.pdf"),
            14,
            "00: matches the ids of 2 nodes that were flashed here; give more digits",
        ),
        (("analyze", "mfpt:nope"), 5, "mfpt:nope: is not in the MFPT set; quaver recordings list shows the set"),
        (("demo", "--output", "x.txt"), 1, "x.txt: can't save the picture: expected a name that ends in .pdf, .png,"),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_who_gave_it(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (home / "nodes.json").write_text('{"zz": "a/b/c/d/e"}')
    (home / "good.json").write_text('{"0123456789abcdef": "a/b/c/d/e"}')
    codes = Codes(home / "keys")
    for node_id in (b"\x01" * 7 + b"\x00", b"\x02" * 7 + b"\x00"):
        codes.put(node_id, new_code())
    assert refused(capsys, code, *arguments).startswith(f"quaver: {words}")
    assert not (home / "x.pdf").exists()


@pytest.mark.parametrize("arguments", [("list",), ("show", "pump-7"), ("export",)])
def test_looking_into_an_inventory_makes_none(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: tuple[str, ...]
) -> None:
    there = home / "folder" / "inventory.sqlite"
    line = refused(capsys, 15, "inventory", *arguments, "--inventory", str(there))
    assert line.startswith(f"quaver: {there}: there is no inventory; create one with quaver provision")
    assert not there.parent.exists()
