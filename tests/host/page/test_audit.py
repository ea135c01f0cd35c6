"""The audit trail: what was edited, moved or cut in its file is found, whoever did it."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from quaver.access.access import Access
from quaver.access.audit import BROKEN, verify
from quaver.access.base import HEAD, NAME
from quaver.cli import main
from quaver.errors import AccessError

ROWS = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Access(tmp_path) as access:
        for number in range(ROWS):
            access.audit.write("anna", "test", f"node {number}", {"number": number})
    return tmp_path


def forge(folder: Path, *statements: str) -> None:
    """What somebody does who may write the file, and knows SQLite."""
    with sqlite3.connect(folder / NAME) as base:
        for name in ("audit_is_not_edited", "audit_is_not_cut"):
            base.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            base.execute(statement)


def test_a_whole_trail_is_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--state", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: the audit trail is whole: {ROWS} rows\n"


@pytest.mark.parametrize(
    ("statements", "broken", "words"),
    [
        (["UPDATE audit SET who = 'bert' WHERE number = 3"], 3, "row 3 is not what was written"),
        (["UPDATE audit SET details = '{}' WHERE number = 1"], 1, "row 1 is not what was written"),
        (["UPDATE audit SET time_ms = time_ms + 1 WHERE number = 8"], 8, "row 8 is not what was written"),
        (["UPDATE audit SET hash = zeroblob(32) WHERE number = 8"], 8, "row 8 is not what was written"),
        (["DELETE FROM audit WHERE number = 4"], 4, "row 4 is missing: the next one is 5"),
        (["DELETE FROM audit WHERE number = 1"], 1, "row 1 is missing"),
        (["DELETE FROM audit WHERE number > 5"], 6, "the tail is cut: audit.head knows 8 rows, 5 are here"),
        (["DELETE FROM audit"], 1, "the tail is cut"),
        (
            [
                "UPDATE audit SET number = 99 WHERE number = 3",
                "UPDATE audit SET number = 3 WHERE number = 4",
                "UPDATE audit SET number = 4 WHERE number = 99",
            ],
            3,
            "or not where it was",
        ),
        (["INSERT INTO audit SELECT 9, time_ms, who, what, about, details, hash FROM audit WHERE number = 8"], 9, "9"),
    ],
)
def test_what_was_done_to_the_file_is_found(
    folder: Path, statements: list[str], broken: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(folder, *statements)
    assert main(["audit", "verify", "--state", str(folder)]) == 1
    out = capsys.readouterr().out
    assert words in out and out.count("\n") == 1
    assert main(["audit", "verify", "--json", "--state", str(folder)]) == 1
    assert json.loads(capsys.readouterr().out)["broken"] == broken


def test_rows_that_were_written_anew_with_a_right_chain_are_not_those_of_the_head(folder: Path) -> None:
    with sqlite3.connect(folder / NAME) as base:
        rows = base.execute("SELECT number, time_ms, who, what, about, details FROM audit").fetchall()
    changes, last = [], bytes(32)
    for row in rows:
        forged = [*row[:2], "bert", *row[3:]]
        last = sha256(last + json.dumps(forged, separators=(",", ":")).encode()).digest()
        changes.append(f"UPDATE audit SET who = 'bert', hash = x'{last.hex()}' WHERE number = {row[0]}")
    forge(folder, *changes)
    found = verify(folder)
    assert found.broken == ROWS and "rows were written anew" in found.why


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / HEAD).unlink(),
        lambda folder: (folder / HEAD).write_text("{}"),
        lambda folder: (folder / HEAD).write_bytes(b"\xff\x00"),
        lambda folder: (folder / NAME).unlink(),
        lambda folder: forge(folder, "DELETE FROM audit WHERE number > 2"),
    ],
)
def test_a_break_is_told_for_ever_though_the_product_goes_on(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    for _ in range(2):
        with Access(folder) as access:
            access.audit.write("anna", "test", "after")
            newest = [row.what for row in access.audit.rows(limit=3)]
    assert newest[:2] == ["test", "test"] and newest[2] == BROKEN
    found = verify(folder)
    assert found.broken and "tells of a break" in found.why


def test_a_kill_between_the_two_files_is_no_break(folder: Path) -> None:
    before = (folder / HEAD).read_bytes()
    with Access(folder) as access:
        access.audit.write("anna", "test", "last")
    (folder / HEAD).write_bytes(before)
    assert verify(folder).rows == ROWS + 1 and not verify(folder).broken
    with Access(folder) as access:
        access.audit.write("anna", "test", "after")
    assert verify(folder).rows == ROWS + 2 and not verify(folder).broken


def test_a_new_trail_is_bound_to_its_second_file_from_the_first_row(tmp_path: Path) -> None:
    Access(tmp_path).close()
    assert json.loads((tmp_path / HEAD).read_text()) == {"rows": 0, "hash": "00" * 32}
    with Access(tmp_path) as access:
        access.audit.write("anna", "test", "first")
    (tmp_path / HEAD).unlink()
    assert "audit.head is missing" in verify(tmp_path).why


def test_the_file_itself_refuses_to_edit_and_cut(folder: Path) -> None:
    with sqlite3.connect(folder / NAME) as base:
        for statement in ("UPDATE audit SET who = ''", "DELETE FROM audit", "REPLACE INTO audit SELECT * FROM audit"):
            base.execute("PRAGMA recursive_triggers = ON")
            with pytest.raises(sqlite3.DatabaseError, match="append only"):
                base.execute(statement)


def test_threads_and_processes_write_one_chain(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from quaver.access.access import Access\n"
        "with Access(Path(sys.argv[1])) as access:\n"
        "    for number in range(20): access.audit.write('other', 'test', str(number))"
    )
    other = subprocess.Popen([sys.executable, "-c", code, folder])
    with Access(folder) as access:
        threads = [
            threading.Thread(target=lambda: [access.audit.write("anna", "test", str(n)) for n in range(10)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert other.wait(60) == 0
    found = verify(folder)
    assert found.rows == ROWS + 40 and not found.broken


def test_details_are_bounded_and_any_text_is_kept(folder: Path) -> None:
    with Access(folder) as access:
        access.audit.write("anna" * 100, "x" * 1000, "\ud800 \x1b[31m \u2028", {"long": "y" * 10_000, "bytes": b"\xff"})
        row = access.audit.rows(limit=1)[0]
    assert len(row.who) <= 256 and len(row.what) <= 256 and len(row.details) < 4100 and json.loads(row.details)
    assert not verify(folder).broken


def test_show_prints_rows_and_no_row_steers_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Access(folder) as access:
        access.audit.write("", "login failed", "\x1b[31mred", {"address": "192.0.2.1"})
    assert main(["audit", "show", "--state", str(folder), "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].endswith('anna  test  node 7  {"number":7}')
    assert lines[1].endswith('(stranger)  login failed  \\x1b[31mred  {"address":"192.0.2.1"}')
    assert main(["audit", "show", "--state", str(folder), "--count", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["number"] == ROWS + 1 and shown["details"] == {"address": "192.0.2.1"} and len(shown["hash"]) == 64


@pytest.mark.parametrize("word", ["verify", "show"])
def test_no_trail_is_told_and_none_is_made(tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "none"
    assert main(["audit", word, "--state", str(folder)]) == AccessError.exit_code
    assert "holds no audit trail; name the folder of quaver serve with --state" in capsys.readouterr().err
    assert not folder.exists()
