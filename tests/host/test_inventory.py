"""The inventory: one file for its owner, no two nodes in a place, and CSV that says what is wrong where."""

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from quaver.cli import main
from quaver.errors import InventoryError
from quaver.fleet.inventory import Entry, Inventory

HEAD = "id,name,site,area,line,asset,bearing,rpm,state\n"


def node(n: int) -> bytes:
    return n.to_bytes(8, "big")


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path / "data" / "inventory.sqlite")


def entry(n: int, **changes: object) -> Entry:
    values = {"site": "north", "asset": f"pump-{n}", "enrolled": 1_790_000_000, **changes}
    return Entry(node(n), f"node-{n}", **values)  # type: ignore[arg-type]


def test_what_was_put_in_is_there_in_another_process_and_nobody_else_may_read_it(inventory: Inventory) -> None:
    one = entry(1, bearing=[3.58, 5.42, 2.36, 0.398], rpm=1480.0, machine_group=2, mounting="rigid", board="pico_w")
    inventory.put(one)
    inventory.put(entry(2, bearing="6205"))
    again = Inventory(inventory.path)
    assert again.get(node(1)) == one
    assert [e.prefix for e in again.entries()] == ["north/area/line/pump-1/node-1", "north/area/line/pump-2/node-2"]
    assert inventory.path.stat().st_mode & 0o777 == 0o600
    assert inventory.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_place_has_one_node_until_it_is_retired(inventory: Inventory) -> None:
    inventory.put(entry(1))
    with pytest.raises(InventoryError, match="belongs to another node"):
        inventory.put_all([
            entry(5), Entry(node(2), "node-1", "north", asset="pump-1")
        ])  # fmt: skip
    assert inventory.get(node(5)) is None, "one of several can't be written: none is"
    inventory.update(node(1), state="retired")
    inventory.put(Entry(node(2), "node-1", "north", asset="pump-1"))
    assert inventory.named("node-1").id == node(2)


def test_last_seen_only_moves_on(inventory: Inventory) -> None:
    inventory.put(entry(1))
    inventory.saw([(node(1), 200.0, "0.2.0"), (node(1), 100.0, None), (node(9), 300.0, None)])
    assert (inventory.named("node-1").seen, inventory.named("node-1").firmware) == (200, "0.2.0")
    assert len(inventory.entries()) == 1


def test_who_is_meant(inventory: Inventory) -> None:
    inventory.put(entry(1))
    inventory.put(Entry(node(2), "node-1", "south"))
    assert inventory.named("south/area/line/asset/node-1").id == node(2)
    assert inventory.named(node(1).hex()).id == node(1)
    with pytest.raises(InventoryError, match="2 nodes are named 'node-1'"):
        inventory.named("node-1")
    with pytest.raises(InventoryError, match="node 'node-7' is not in"):
        inventory.named("node-7")


def test_export_and_import_give_the_same(inventory: Inventory, tmp_path: Path) -> None:
    inventory.put(entry(1, bearing=[3.58, 5.42, 2.36, 0.398], note='a "note", quoted', seen=1_790_000_500))
    inventory.put(entry(2, bearing="6205", rpm=1480.0, state="retired"))
    (tmp_path / "all.csv").write_text(inventory.export())
    other = Inventory(tmp_path / "other.sqlite")
    assert other.import_csv(tmp_path / "all.csv") == (2, [])
    assert other.entries() == inventory.entries()


def test_each_mistake_is_named_by_row_and_column_and_the_rest_is_taken(inventory: Inventory, tmp_path: Path) -> None:
    inventory.put(entry(1))
    rows = [
        f"{node(2).hex()},node-2,north,a,b,pump-2,6205,1480,",
        f"{node(3).hex()},node-3,north,a,b,pump-3,6250,1480,",
        f"{node(4).hex()},node-4,no/rth,a,b,pump-4,,,",
        "xyz,node-5,,,,,,,",
        f"{node(6).hex()},,,,,,,,",
        f"{node(7).hex()},node-7,,,,,,99999,",
        f"{node(2).hex()},node-8,,,,,,,",
        f"{node(9).hex()},node-2,north,a,b,pump-2,,,",
        f"{node(10).hex()},node-1,north,area,line,pump-1,,,",
        f"{node(11).hex()},node-11,,,,,3.5/5.4,,",
        f"{node(12).hex()},node-12,,,,,,,broken",
        f"{node(13).hex()},node-13",
        "",
        f"{node(14).hex()},node-14,north,a,b,pump-14,3.58/5.42/2.36/0.398,1480,in service",
    ]
    (tmp_path / "plan.csv").write_text(HEAD + "\n".join(rows) + "\n")
    count, mistakes = inventory.import_csv(tmp_path / "plan.csv")
    assert count == 2
    assert [str(mistake) for mistake in mistakes] == [
        "row 3, bearing: bearing '6250' is not in the library (near it: 6207, 6206, 6205); "
        "a name, or BPFO/BPFI/BSF/FTF",
        "row 4, site: expected 1 to 24 characters without / + #, found 'no/rth'",
        "row 5, id: expected 16 hexadecimal digits, found 'xyz'",
        "row 6, name: is missing",
        "row 7, rpm: expected a number from 1 to 60000 1/min, found '99999'",
        "row 8, id: is also in row 2",
        "row 9, name: topic prefix north/a/b/pump-2/node-2 is also in row 2",
        "row 10, name: topic prefix north/area/line/pump-1/node-1 is also in the inventory",
        "row 11, bearing: bearing '3.5/5.4' is not in the library; a name, or BPFO/BPFI/BSF/FTF",
        "row 12, state: expected one of enrolled, in service, retired, found 'broken'",
        "row 13: has 2 cells, the heading 9",
    ]
    assert {e.id for e in inventory.entries()} == {node(1), node(2), node(14)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id,name,colour\n", "column 'colour' is unknown: expected some of id, name"),
        (b"id,name,id\n", "column 'id' appears twice"),
        (b"name\n", "has no column 'id'"),
        (b"", "has no column 'id'"),
        (b"id,name\n\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_of_something_else(inventory: Inventory, tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InventoryError, match=reason):
        inventory.import_csv(tmp_path / "x.csv")


def test_a_cell_that_never_ends_costs_the_rows_after_it(inventory: Inventory, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f'id,name\n{node(1).hex()},node-1\n{node(2).hex()},"node-2\n{node(3).hex()},x\n')
    count, mistakes = inventory.import_csv(tmp_path / "x.csv")
    assert count == 1 and mistakes[0].row == 3 and "not CSV" in mistakes[0].reason


def test_files_that_are_no_inventory_are_left_as_they_are(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"not a database, but long enough to be looked at" * 30)
    garbage.chmod(0o600)
    with pytest.raises(InventoryError, match="is not an inventory"):
        Inventory(garbage)
    assert garbage.read_bytes().startswith(b"not a database")
    later = tmp_path / "later"
    Inventory(later).close()
    base = sqlite3.connect(later)
    base.execute("PRAGMA user_version = 9")
    base.close()
    with pytest.raises(InventoryError, match="is of version 9, this quaver reads 1"):
        Inventory(later)
    open_to_all = tmp_path / "open"
    Inventory(open_to_all).close()
    open_to_all.chmod(0o644)
    with pytest.raises(InventoryError, match="chmod 600"):
        Inventory(open_to_all)


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "inventory.sqlite"
    Inventory(path).close()

    def work(start: int) -> None:
        with Inventory(path) as own:
            for n in range(start, start + 40):
                own.put(entry(n))

    threads = [threading.Thread(target=work, args=(start,)) for start in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Inventory(path).entries()) == 80


def test_on_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    assert main(["inventory", "list"]) == 0
    assert "no node is in the inventory" in capfd.readouterr().err
    (tmp_path / "in.csv").write_text(f"id,name,bearing\n{node(1).hex()},node-1,6205\n{node(2).hex()},node-2,7\n")
    assert main(["inventory", "import", str(tmp_path / "in.csv")]) == 15
    said = capfd.readouterr()
    assert "1 node imported, 1 mistake\n" in said.out and "row 3, bearing: bearing '7'" in said.err
    assert main(["inventory", "list", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["bearing"] == "6205"
    assert main(["inventory", "show", "node-1"]) == 0
    assert "bearing       6205" in capfd.readouterr().out
    out = tmp_path / "out.csv"
    assert main(["inventory", "export", str(out)]) == 0
    assert out.read_text().startswith("id,name,site")
    assert main(["inventory", "export", str(out)]) == 15
    assert "exists" in capfd.readouterr().err
    assert main(["inventory", "show", "node-9"]) == 15
