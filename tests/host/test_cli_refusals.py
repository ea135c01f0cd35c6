"""What a person is told who gives a command something wrong: one line, that says what to do, and an exit code."""

from pathlib import Path

import pytest

from quaver.cli import main
from quaver.keys import KeyStore


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
            "quaver: broker URL 'nonsense://x': nonsense:// is not supported; expected mqtt",
        ),
        (("--listen", "host/path"), "quaver: broker URL 'host/path': not a broker's address; expected mqtt"),
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
            "quaver: no node answers; connect it, and switch it on anew",
        ]
    assert not (home / "keys" / "provision.json").exists()
