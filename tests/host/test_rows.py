"""CSV as spreadsheets of every country write it: each value is the one that was meant, or its row is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaver.errors import InventoryError
from quaver.files.csv_rows import Mistake, decimal, figure, number, read_rows
from quaver.fleet.inventory import COLUMNS, Entry, Inventory
from quaver.provision import plan

ID = "e66118604b5e2f2a"
FIELD = Path(__file__).resolve().parents[3] / "shared" / "data" / "field"
GOOD = [(2, {"id": bytes.fromhex(ID), "name": "pump-7", "asset": "motor", "rpm": 1480.0})]


def read(path: Path, content: str | bytes) -> tuple[list[tuple[int, dict[str, Any]]], list[Mistake]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, plan.COLUMNS)


@pytest.mark.parametrize(
    "content",
    [
        f"id,name,asset,rpm\n{ID},pump-7,motor,1480\n",
        f"id;name;asset;rpm\n{ID};pump-7;motor;1480\n",
        f"id\tname\tasset\trpm\r\n{ID}\tpump-7\tmotor\t1480\r\n",
        f"id,name,asset,rpm\r{ID},pump-7,motor,1480\r",
        f"ID, Name ,ASSET,RPM\n{ID.upper()},pump-7,motor,1480.0\n",
        f'"id";"name";"asset";"rpm"\n"{ID}";"pump-7";"motor";"1480,0"\n',
        f"id;name;asset;rpm;;\n{ID};pump-7;motor;1480,00;;;\n;;;;;\n",
        f'id,name,asset,rpm\n"=""{ID}""",\'pump-7,motor,1480\n',
        f"id,name,asset,rpm\n{ID},pump-7,motor,1480.0000",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_each_way_to_write_it_gives_the_same(tmp_path: Path, content: str, encoding: str) -> None:
    assert read(tmp_path / "plan.csv", content.encode(encoding)) == (GOOD, [])


def test_what_spreadsheets_put_around_a_heading(tmp_path: Path) -> None:
    for before, row in (("\n\n", 4), ("sep=;\n", 3)):
        rows, mistakes = read(tmp_path / "x.csv", f"{before}id;name;Asset;Time server\n{ID};pump-7;motor;none\n")
        assert not mistakes and rows == [
            (row, {"id": bytes.fromhex(ID), "name": "pump-7", "asset": "motor", "time_server": ""})
        ]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("rpm", "1.480", "'1.480' may be 1.48 or 1480: write 1.4800 or 1480"),
        ("rpm", "1,480", "'1,480' may be 1.48 or 1480: write 1.4800 or 1480"),
        ("rpm", "1.480,5", "expected a number from 1 to 60000 1/min written without thousands separators, found"),
        ("rpm", "1,480.5", "written without thousands separators"),
        ("rpm", "1 480", "written without thousands separators"),
        ("rpm", "1'480", "written without thousands separators"),
        ("rpm", "1.48E+03", "expected a number"),
        ("rpm", "1_480", "expected a number"),
        ("rpm", "nan", "expected a number"),
        ("rpm", "١٤٨٠", "expected a number"),
        ("limits", "velocity 1.125 4.500", "'1.125' may be 1.125 or 1125"),
        ("id", "1.23E+15", "is an id that a spreadsheet rounded: format the column as text"),
        ("id", "1,23457E+14", "is an id that a spreadsheet rounded: format the column as text"),
        ("id", "123456789012345", "spreadsheets remove leading zeros: format the column as text"),
        ("group", "1.5", "expected one of 0, 1, 2, found '1.5'"),
    ],
)
def test_what_may_be_misread_is_refused_with_its_place_and_what_to_write(
    tmp_path: Path, column: str, cell: str, reason: str
) -> None:
    values = {"id": ID, "name": "pump-7", "asset": "motor", column: cell}
    content = ",".join(values) + "\n" + ",".join(f'"{value}"' for value in values.values()) + "\n"
    rows, (mistake,) = read(tmp_path / "plan.csv", content)
    assert not rows and (mistake.row, mistake.column) == (2, column) and reason in mistake.reason


@pytest.mark.parametrize("cell", ["velocity 2,8 4,5; rms 0,125 0,25", "velocity 2.8 4.5; rms 0.125 0.250"])
def test_limits_take_either_decimal_mark(cell: str) -> None:
    assert plan.limits(cell) == {"velocity": [2.8, 4.5], "rms": [0.125, 0.25]}


def test_a_decimal_comma_that_nobody_quoted_is_no_two_cells(tmp_path: Path) -> None:
    rows, mistakes = read(tmp_path / "plan.csv", f"id,name,asset,rpm\n{ID},pump-7,motor,1480,5\n")
    assert not rows and [str(mistake) for mistake in mistakes] == [
        "row 2: has 5 cells, the heading 4; quote the cells that contain the delimiter"
    ]
    rows, mistakes = read(tmp_path / "plan.csv", f"id,name,asset,rpm,\n{ID},pump-7,motor,1480,5\n")
    assert not rows and "has a cell without a heading" in str(mistakes[0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id,name,asset,limit\n", "column 'limit' is unknown: did you mean 'limits'?"),
        (b"id,name,asset,ID\n", "column 'id' appears twice"),
        ("id,name,asset\n1,p\u00fcmp,x\n".encode("latin-1"), "line 2 is not UTF-8 text; save it as CSV UTF-8"),
        ("id,name,asset\n".encode("utf-16-le"), "is not text; save it as CSV in UTF-8"),
        ("id,name,asset\n".encode("utf-16")[:-1], "is not UTF-8 text"),
        (b"mqtt://user:secret@host,name\n", "column a URL is unknown"),
    ],
)
def test_a_file_that_can_not_be_believed(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InventoryError) as caught:
        read(tmp_path / "plan.csv", content)
    assert reason in str(caught.value)


@given(st.floats(1, 60000))
def test_a_figure_that_was_written_is_read_back(value: float) -> None:
    back = decimal(figure(value), 1, 60000)
    assert math.isclose(back, value, rel_tol=1e-9) and number(1, 60000, "")(figure(value)) == back


@given(
    st.decimals(1, 60000, places=4).map(str)
    | st.from_regex(r"[0-9]{1,3}([.,][0-9]{3}){0,2}([.,][0-9]{1,2})?", fullmatch=True)
)
def test_a_number_is_what_is_written_or_refused(text: str) -> None:
    try:
        value = number(1, 60000, "")(text)
    except ValueError:
        return
    whole, _, part = text.replace(",", ".").partition(".")
    assert "." not in part and value == float(f"{whole}.{part or 0}")
    assert len(part) != 3 or len(whole) > 3 or whole.startswith("0") or float(whole + part) > 60000


def test_an_inventory_with_any_figures_comes_back_from_its_export(tmp_path: Path) -> None:
    one = Entry(bytes.fromhex(ID), "pump-7", rpm=29.875, bearing=[3.125, 5.4284, 2.357, 0.398], enrolled=1_790_000_000)
    with Inventory(tmp_path / "a.sqlite") as first, Inventory(tmp_path / "b.sqlite") as second:
        first.put(one)
        (tmp_path / "all.csv").write_text(first.export())
        assert second.import_csv(tmp_path / "all.csv") == (1, [])
        assert second.get(one.id) == one
    assert COLUMNS["rpm"].parse("1480,5") == 1480.5


@pytest.mark.skipif(not FIELD.is_dir(), reason="the files from the field are not here; their kinds are above")
def test_files_from_the_field() -> None:
    assert read_rows(FIELD / "plan_semicolon.csv", plan.COLUMNS) == (
        [(2, {"id": bytes.fromhex(ID), "name": "pump-7", "asset": "motor"})],
        [],
    )
    rows, (mistake,) = read_rows(FIELD / "plan_rpm_thousand.csv", plan.COLUMNS)
    assert not rows and str(mistake) == "row 2, rpm: '1.480' may be 1.48 or 1480: write 1.4800 or 1480"
