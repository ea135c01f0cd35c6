"""A store copied into another, of either engine: resumed where it was cut, and compared whole at the end.

Records go in the order of their coming, a few thousand in a transaction that notes in the target how far it got; then
the other tables, in one transaction. Then every row of both stores is read again: their counts and sums of SHA-256 (of
each row, added up, so the order does not matter) have to be the same, and only then the target is a store.

The source is locked as an ingest locks it, and the target has a session at the broker of its own until `quaver ingest
--moved` takes up the source's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from quaver.errors import StoreError
from quaver.store.rows import COLUMNS, Row
from quaver.store.schema import SCHEMA
from quaver.store.store import Store
from quaver.system.identity import COPIED

_BATCH = 4096
_OF, _PLACE = "copy_of", "copy_place"  # in the target's `meta` while it is no store yet
_TABLE = re.compile(r"CREATE TABLE (\w+) \(\n(.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r"^\s*([a-z]\w*) [A-Z]", re.MULTILINE)
_KEY = re.compile(r"PRIMARY KEY \((.*?)\)|^\s*(\w+) [A-Z]+ PRIMARY KEY", re.MULTILINE)


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


MACHINES = _Table("machine", ("number", "name"), ("number",))


@dataclass(frozen=True)
class Digest:
    """What a table holds: its rows, and the sum of their SHA-256 modulo 2^256."""

    rows: int
    sum: int

    @property
    def hex(self) -> str:
        return f"{self.sum:064x}"


def tables(*stores: Store) -> list[_Table]:
    """Every table that `stores` have and that is copied as it is: all but records, and what a store says of itself."""
    found = [MACHINES] if all(store.shared for store in stores) else []
    for name, body in _TABLE.findall(re.sub(r" *--.*", "", SCHEMA)):
        if name in ("meta", "record"):
            continue
        key = _KEY.search(body)
        assert key is not None, name
        found.append(_Table(name, tuple(_COLUMN.findall(body)), tuple((key[1] or key[2]).split(", "))))
    return found


def copy(source: Store, target: Store, step: Callable[[str, int], None]) -> dict[str, Digest]:
    """Copy all of `source` into `target`, both opened to write; what each table holds, the same in both.

    step(table, rows): hears of each batch. Raises StoreError: the target keeps what came, and another call goes on.
    """
    place = _begin(source, target)
    for rows, end in _records(source, place):
        with target.transaction():
            if target.add(rows):
                raise StoreError(f"{target.name}: has records that are not of {source.name}; name a new store")
            target.put_meta({_PLACE: str(end)})
        step("record", len(rows))
    with target.transaction():
        for table in tables(source, target):
            target.delete_all(table.name)
            for page in _pages(source, table):
                named = [dict(zip(table.columns, row, strict=True)) for row in page]
                target.put_rows(table.name, ", ".join(table.key), named)
                step(table.name, len(page))
    both = tables(source, target)
    found = digests(source, both)
    for name, copied in digests(target, both).items():
        if copied != found[name]:
            raise StoreError(
                f"{target.name}: its table {name} differs from that of {source.name} ({copied.rows} rows, and there "
                f"{found[name].rows}): the source changed in between; remove the target, and copy again"
            )
    with target.transaction():
        target.put_meta({"home": COPIED, "client_id": source.client_id, "former_client_id": ""})
        target.drop_meta((_OF, _PLACE))
    return found


def set_apart(store: Store) -> None:
    """Have a store in PostgreSQL that was made from a backup listen as another than the one that it was.

    Until `quaver ingest --moved` says that the other is no more.
    """
    with store.transaction():
        store.put_meta({"home": COPIED})


def digests(store: Store, those: Sequence[_Table]) -> dict[str, Digest]:
    """What each table of a store holds, the records first."""
    found = {"record": _digest(row for rows, _ in _records(store, 0) for row in rows)}
    for table in those:
        found[table.name] = _digest(row for page in _pages(store, table) for row in page)
    return found


def _begin(source: Store, target: Store) -> int:
    """Where to go on: behind which row of the source."""
    of, place = target.meta(_OF), target.meta(_PLACE)
    if of and of != source.client_id:
        raise StoreError(f"{target.name}: is a copy of another store that was not finished; name a new store")
    if not of:
        if target.query("SELECT 1 FROM record LIMIT 1") or target.query("SELECT 1 FROM node LIMIT 1"):
            raise StoreError(f"{target.name}: has records already; name a new store")
        with target.transaction():
            target.put_meta({_OF: source.client_id, _PLACE: "0"})
    return int(place or 0)


def _records(store: Store, place: int) -> Iterator[tuple[list[Row], int]]:
    """(rows, where they end), in the order of their coming."""
    sql = f"SELECT rowid, {COLUMNS} FROM record WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}"  # noqa: S608  ours
    while rows := store.query(sql, (place,)):
        place = rows[-1][0]
        yield [Row(*row[1:]) for row in rows], place


def _pages(store: Store, table: _Table) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a table."""
    columns, keys = ", ".join(table.columns), ", ".join(table.key)
    at = [table.columns.index(key) for key in table.key]
    marks = ", ".join("?" * len(at))
    sql = f"SELECT {columns} FROM {table.name} {{}} ORDER BY {keys} LIMIT {_BATCH}"  # noqa: S608
    rows = store.query(sql.format(""))
    while rows:
        yield rows
        last = [rows[-1][place] for place in at]
        rows = store.query(sql.format(f"WHERE ({keys}) > ({marks})"), last)


def _digest(rows: Iterator[tuple[Any, ...]]) -> Digest:
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest(), "big")
    return Digest(count, total % (1 << 256))
