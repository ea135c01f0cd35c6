"""Personal data of the page: a user is removed with all that is kept of them, and old rows of the audit trail go."""

import sqlite3
from pathlib import Path

import pytest

from quaver.access.access import Access
from quaver.access.audit import DELETED, verify
from quaver.access.base import HEAD, NAME
from quaver.access.passwords import Cost
from quaver.alarms.base import REMOVED, Base
from quaver.alarms.security import Security
from quaver.cli import main
from quaver.errors import AccessError

QUICK = Cost(passes=1, memory_kib=8, lanes=1)
PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.77"
DAY_MS = 86_400_000


class _Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder: anna, the admin, and bert, who has logged in and acknowledged an alarm."""
    clock = _Clock()
    with Access(tmp_path, QUICK, clock) as access:
        for name, role in (("anna", "admin"), ("bert.baumann", "technician")):
            access.users.add(name, role, PASSWORD, by="console")
            access.login(name, PASSWORD, ADDRESS)
        clock.now += 400 * 86_400
        access.audit.write("anna", "command sent", "pump-7")
        told = access.audit.rows()
    with Security(tmp_path / "alarms.sqlite") as security:
        security.audited(told, 1)
    with Base(tmp_path / "alarms.sqlite") as base:
        base._do(
            "INSERT INTO comment (alarm, at_ms, who, text, work_order) VALUES (1, 2, 'bert.baumann', 'new bearing', '')"
        )
    return tmp_path


def _holds(folder: Path, word: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and word.encode() in path.read_bytes())


def test_nothing_of_a_user_is_left_after_their_removal_and_the_end_of_their_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _holds(folder, "bert.baumann") != []
    assert main(["user", "remove", "bert.baumann", "--yes", "--state", str(folder)]) == 0
    assert capsys.readouterr().out == "bert.baumann: removed; 3 rows of the alarms no longer name them\n"
    with Base(folder / "alarms.sqlite") as base:
        assert [row["who"] for row in base._ask("SELECT who FROM comment")] == [REMOVED]
    with sqlite3.connect(folder / NAME) as rows:
        for table, column in (("user", "name"), ("session", "user"), ("token", "user"), ("known", "user")):
            assert rows.execute(f"SELECT count(*) FROM {table} WHERE {column} LIKE 'bert%'").fetchone() == (0,)
    assert _holds(folder, "bert.baumann") == [NAME]  # in the audit trail, which is whole
    with Access(folder, QUICK) as access, Security(folder / "alarms.sqlite") as security:
        security.audited(access.audit.rows(), 2)  # a page that runs
    assert not verify(folder).broken
    assert main(["audit", "delete", "--before", "2100-01-01", "--yes", "--state", str(folder)]) == 0
    assert _holds(folder, "bert.baumann") == []
    assert _holds(folder, ADDRESS) == [NAME]  # from where anna is known
    assert (verify(folder).broken, verify(folder).rows) == (0, 1)


def test_old_rows_go_and_the_rest_still_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (_Clock.now + 86_400) * 1000
    with Access(folder, QUICK) as access:
        rows = verify(folder).rows
        assert access.audit.delete(int(before), "console") == rows - 1
        assert [row.what for row in access.audit.rows()] == [DELETED, "command sent"]
        assert access.audit.delete(int(before), "console") == 0
        assert access.audit.write("anna", "command sent", "pump-8") == rows + 2
        assert (verify(folder).broken, verify(folder).rows) == (0, 3)
    with sqlite3.connect(folder / NAME) as base, pytest.raises(sqlite3.IntegrityError, match="append only"):
        base.execute("DELETE FROM audit")
    with sqlite3.connect(folder / NAME) as base:
        base.execute("DROP TRIGGER audit_is_not_cut")
        base.execute("DELETE FROM audit WHERE what = 'command sent' AND about = 'pump-7'")
    assert verify(folder).broken
    assert main(["audit", "delete", "--before", "2100-01-01", "--yes", "--state", str(folder)]) != 0
    assert "is broken, so nothing is deleted" in capsys.readouterr().err


def test_a_cut_between_the_two_files_leaves_a_trail_that_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = verify(folder).rows
    with Access(folder, QUICK) as access:
        monkeypatch.setattr("quaver.access.audit.NOT_CUT", "no statement")
        with pytest.raises(AccessError):
            access.audit.delete(int((_Clock.now + 86_400) * 1000), "console")
    assert '"deleted"' in (folder / HEAD).read_text()
    assert (verify(folder).broken, verify(folder).rows) == (0, rows)


def test_the_last_admin_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "remove", "anna", "--yes", "--state", str(folder)]) != 0
    assert "is the last admin" in capsys.readouterr().err
    assert main(["user", "remove", "carl", "--yes", "--state", str(folder)]) != 0
