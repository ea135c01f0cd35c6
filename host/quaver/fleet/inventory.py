"""The inventory: which node is where, in one SQLite file that only its owner can read.

A node is its chip's id. Where it stands is its topic prefix, site/area/line/asset/name, which no other node
that is in service may have. Secrets are elsewhere: keys in the key store, codes beside them.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.errors import InventoryError
from quaver.files.csv_rows import (
    Column,
    Mistake,
    bearing,
    choice,
    figure,
    node_id,
    number,
    place_part,
    read_rows,
    shown,
)
from quaver.files.private import data_path
from quaver.files.private_base import open_private_base

VERSION = 1
STATES = ("enrolled", "in service", "retired")

_SCHEMA = """
CREATE TABLE nodes (
    id BLOB PRIMARY KEY CHECK (length(id) = 8),
    name TEXT NOT NULL, site TEXT NOT NULL, area TEXT NOT NULL, line TEXT NOT NULL, asset TEXT NOT NULL,
    state TEXT NOT NULL, board TEXT, firmware TEXT, generation INTEGER NOT NULL,
    machine_group INTEGER, mounting TEXT, bearing TEXT, rpm REAL, enrolled INTEGER NOT NULL, seen INTEGER, note TEXT
) STRICT;
CREATE UNIQUE INDEX place ON nodes (site, area, line, asset, name) WHERE state <> 'retired';
"""


@dataclass(frozen=True)
class Entry:
    """One node. enrolled, seen: seconds since 1970. bearing: a name of the library, or four ratios. rpm: 1/min.

    machine_group, mounting: of ISO 20816-3.
    """

    id: bytes
    name: str
    site: str = "site"
    area: str = "area"
    line: str = "line"
    asset: str = "asset"
    state: str = "enrolled"
    board: str | None = None
    firmware: str | None = None
    generation: int = 1
    machine_group: int | None = None
    mounting: str | None = None
    bearing: str | list[float] | None = None
    rpm: float | None = None
    enrolled: int = 0
    seen: int | None = None
    note: str | None = None

    @property
    def prefix(self) -> str:
        return "/".join((self.site, self.area, self.line, self.asset, self.name))

    def as_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "id": self.id.hex()}


_FIELDS = tuple(field.name for field in fields(Entry))


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, found {shown(text)}")
        return int(text)

    return parse


def _moment(text: str) -> int:
    try:
        return int(time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")))
    except (ValueError, OverflowError):
        raise ValueError(f"expected a time like 2026-11-23 05:30:00, found {shown(text)}") from None


def _stamp(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


COLUMNS = {
    "id": Column(node_id, required=True),
    "name": Column(place_part, required=True),
    "site": Column(place_part),
    "area": Column(place_part),
    "line": Column(place_part),
    "asset": Column(place_part),
    "state": Column(choice(*STATES)),
    "board": Column(str),
    "firmware": Column(str),
    "generation": Column(_whole(1, 255)),
    "machine_group": Column(_whole(1, 2)),
    "mounting": Column(choice("rigid", "flexible")),
    "bearing": Column(bearing),
    "rpm": Column(number(1, 60000, " 1/min")),
    "enrolled": Column(_moment),
    "seen": Column(_moment),
    "note": Column(str),
}


def default_path() -> Path:
    """`QUAVER_INVENTORY`, or "inventory.sqlite" in the user's data folder for "quaver"."""
    return data_path("QUAVER_INVENTORY", "inventory.sqlite")


class Inventory:
    """The nodes in one file, made on first use. Every method raises InventoryError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._base = open_private_base(path, _SCHEMA, VERSION, option="--inventory", failure=InventoryError)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> InventoryError:
        return InventoryError(
            f"{self.path}: is not an inventory, or can't be written ({error}); it is not changed: name "
            "another with --inventory"
        )

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def entries(self) -> list[Entry]:
        """All nodes, by topic prefix."""
        return sorted((self._entry(row) for row in self._ask("SELECT * FROM nodes")), key=lambda entry: entry.prefix)

    def get(self, node: bytes) -> Entry | None:
        rows = self._ask("SELECT * FROM nodes WHERE id = ?", (node,))
        return self._entry(rows[0]) if rows else None

    def named(self, text: str) -> Entry:
        """The one node that a person means: its id, its name, or its whole topic prefix."""
        found = [entry for entry in self.entries() if text in (entry.id.hex(), entry.prefix)]
        found = found or [entry for entry in self.entries() if entry.name == text and entry.state != "retired"]
        if not found:
            raise InventoryError(f"node {text!r} is not in the inventory; quaver inventory list shows the nodes")
        if len(found) > 1:
            raise InventoryError(
                f"{len(found)} nodes are named {text!r}; name one by its topic prefix: {found[0].prefix}, …"
            )
        return found[0]

    def put(self, entry: Entry) -> None:
        """Write a node, new or known."""
        self.put_all((entry,))

    def put_all(self, entries: Iterable[Entry]) -> None:
        """Write several nodes, or none of them when one can't be."""
        columns = ", ".join(_FIELDS)
        marks = ", ".join("?" * len(_FIELDS))
        updates = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS if name != "id")
        statement = f"INSERT INTO nodes ({columns}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}"  # noqa: S608  our own names
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                for entry in entries:
                    values = [getattr(entry, name) for name in _FIELDS]
                    values[_FIELDS.index("bearing")] = json.dumps(entry.bearing) if entry.bearing else None
                    try:
                        self._base.execute(statement, values)
                    except sqlite3.IntegrityError:
                        raise InventoryError(
                            f"topic prefix {entry.prefix} belongs to another node; retire that one or "
                            "choose another name"
                        ) from None
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def update(self, node: bytes, **changes: Any) -> Entry:
        """Change fields of a node that is known."""
        entry = self.get(node)
        if entry is None:
            raise InventoryError(f"node {node.hex()} is not in the inventory; quaver inventory list shows the nodes")
        entry = replace(entry, **changes)
        self.put(entry)
        return entry

    def saw(self, sightings: Iterable[tuple[bytes, float, str | None]]) -> None:
        """Nodes were heard of: id, seconds since 1970, its firmware if it said.

        One that is not in the inventory is passed over, and an older time too.
        """
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany(
                "UPDATE nodes SET seen = max(coalesce(seen, 0), ?), firmware = coalesce(?, firmware) WHERE id = ?",
                [(int(when), firmware, node) for node, when, firmware in sightings],
            )
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _ask(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    @staticmethod
    def _entry(row: sqlite3.Row) -> Entry:
        values = dict(row)
        values["bearing"] = json.loads(values["bearing"]) if values["bearing"] else None
        return Entry(**values)

    def export(self) -> str:
        """All nodes as CSV with a heading; `read_csv` takes it back."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_FIELDS)
        for entry in self.entries():
            writer.writerow([_cell(name, getattr(entry, name)) for name in _FIELDS])
        return out.getvalue()

    def import_csv(self, path: Path) -> tuple[int, list[Mistake]]:
        """Take the good rows of a CSV file, all at once; returns how many, and the mistakes in the others.

        A node that is known keeps the values that its row leaves empty.
        """
        rows, mistakes = read_rows(path, COLUMNS)
        known = {entry.id: entry for entry in self.entries()}
        ids: dict[bytes, int] = {}
        accepted: dict[bytes, tuple[int, Entry]] = {}
        for row, values in rows:
            if values["id"] in ids:
                mistakes.append(Mistake(row, "id", f"is also in row {ids[values['id']]}"))
                continue
            ids[values["id"]] = row
            base = known.get(values["id"]) or Entry(values["id"], values["name"], enrolled=int(time.time()))
            accepted[base.id] = (row, replace(base, **values))
        prefixes = {
            entry.prefix: 0 for node, entry in known.items() if node not in accepted and entry.state != "retired"
        }
        for node, (row, entry) in list(accepted.items()):
            if entry.state == "retired":
                continue
            if entry.prefix in prefixes:
                where = f"row {prefixes[entry.prefix]}" if prefixes[entry.prefix] else "the inventory"
                mistakes.append(Mistake(row, "name", f"topic prefix {entry.prefix} is also in {where}"))
                del accepted[node]
            else:
                prefixes[entry.prefix] = row
        self.put_all(entry for _, entry in accepted.values())
        return len(accepted), sorted(mistakes, key=lambda mistake: mistake.row)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "id":
        return str(value.hex())
    if name in ("enrolled", "seen"):
        return _stamp(value)
    if name == "bearing" and isinstance(value, list):
        return "/".join(map(figure, value))
    return figure(value) if isinstance(value, float) else str(value)
