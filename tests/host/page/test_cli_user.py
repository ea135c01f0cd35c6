"""`quaver user`: what an operator does who is locked out of the page."""

import json
import sqlite3
from pathlib import Path

import pytest

from quaver.access.base import NAME
from quaver.cli import main
from quaver.errors import AccessError
from tests.terminal import Person

GOOD = "four words are long"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "page"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{GOOD}\n")
    return path


def user(*words: object) -> int:
    return main(["user", *map(str, words)])


def test_the_life_of_a_user(folder: Path, password: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert user("add", "Anna", "--role", "admin", "--password-file", password, "--state", folder) == 0
    assert user("add", "vera", "--role", "viewer", "--password-file", password, "--state", folder) == 0
    assert user("role", "vera", "engineer", "--state", folder) == 0
    assert user("password", "vera", "--password-file", password, "--state", folder) == 0
    assert user("disable", "vera", "--state", folder) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "anna  admin",
        "vera  viewer",
        "vera  engineer",
        "vera: the password is set, and all sessions are ended",
        "vera: disabled, and all sessions are ended",
    ]
    assert user("list", "--state", folder, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["role"], row["disabled"]) for row in rows] == [
        ("anna", "admin", False),
        ("vera", "engineer", True),
    ]
    assert user("list", "--state", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["anna", "admin"] and lines[1].endswith("disabled")
    assert main(["audit", "show", "--state", str(folder)]) == 0
    trail = capsys.readouterr().out
    assert trail.count("console (") == 5 and "user disabled  vera" in trail and GOOD not in trail
    with sqlite3.connect(folder / NAME) as base:
        assert all("$m=19456,t=2,p=1$" in row[0] for row in base.execute("SELECT hash FROM user"))


@pytest.mark.long
def test_a_password_is_asked_for_at_a_terminal_twice_and_not_shown(folder: Path) -> None:
    person = Person("user", "add", "anna", "--role", "admin", "--state", str(folder))
    person.types("Password", GOOD)
    person.types("Repeat", GOOD)
    assert person.ends() == 0 and GOOD not in person.seen


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "anna", "--role", "boss"], 31, "'boss' is no role; expected viewer, technician, engineer, admin"),
        (["add", "a b", "--role", "admin"], 31, "a user's name has 1 to 64 letters"),
        (["add", "anna"], 2, "Missing option '--role'"),
        (["add", "anna", "--role", "admin"], 2, "there is no terminal to ask for the password"),
        (["add", "anna", "--role", "admin", "--password-file", "none"], 31, "none: can't be read"),
        (["list"], 31, "holds no users; name the folder of quaver serve with --state"),
        (["disable", "anna"], 31, "holds no users"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_made(
    folder: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert AccessError.exit_code == 31
    assert user(*words, "--state", folder) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (folder / NAME).exists() or not sqlite3.connect(folder / NAME).execute("SELECT * FROM user").fetchall()


def test_the_last_admin_and_unknown_users(folder: Path, password: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user("add", "anna", "--role", "admin", "--password-file", password, "--state", folder)
    assert user("disable", "anna", "--state", folder) == 31
    assert "user anna is the last admin; make another one first" in capsys.readouterr().err
    assert user("role", "bert", "viewer", "--state", folder) == 31
    assert "there is no user bert; check the name" in capsys.readouterr().err
    assert user("add", "ANNA", "--role", "viewer", "--password-file", password, "--state", folder) == 31
    assert "user anna exists; take another name" in capsys.readouterr().err
