"""The tables of the store in PostgreSQL: those of schema.py, and what this engine does its own way.

The records lie in partitions by the month of their receipt, so that old months go by dropping a table. PostgreSQL holds
a unique index over partitions only when it has the partition's column in it, and a record that came twice may have come
in two months: so the table `record_key` keeps each (node, boot, seq) once, and a record goes in with its key or not at
all. It has nothing else, and outlives the records: a replay of a record that was deleted is known for one.

`rowid` numbers the records in the order in which they were committed, as SQLite's own does: who writes holds the one
lock of the store until its end (postgresql.py).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from quaver.store.schema import HAS_SPECTRUM, MIGRATIONS, SCHEMA

FIRST_VERSION = 3  # older ones were never kept by this engine
SPANS = 1 << 20  # numbers of spans that each machine has for itself
# Texts are compared by their bytes, as SQLite does.
_WORDS = {"BLOB": "BYTEA", "INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', " WITHOUT ROWID": ""}
_ONCE = "CREATE UNIQUE INDEX record_once ON record (node, boot, seq)"
_KEYS = """CREATE TABLE record_key (
    node BIGINT NOT NULL,
    boot BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (node, boot, seq)
);
CREATE INDEX record_once ON record (node, boot, seq);
CREATE INDEX record_place ON record (rowid)"""
# SQLite's functions that our statements use; of several values, NULL when one is NULL.
_FUNCTIONS = """
CREATE FUNCTION instr(text, text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN position($2 IN $1);
CREATE FUNCTION hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN upper(encode($1, 'hex'));
CREATE FUNCTION min(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN least($1, $2);
CREATE FUNCTION max(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN greatest($1, $2);
"""
_OWN = """
CREATE TABLE machine (              -- one that ingests; its spans have the numbers from number * 2^20 on
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
"""
_OWN_MIGRATIONS = {4: "DROP TABLE seen;"}


def statement(sql: str) -> str:
    """A statement of the store's, with ? for values, as psycopg takes it."""
    return sql.replace(HAS_SPECTRUM, f"{HAS_SPECTRUM} > 0").replace("%", "%%").replace("?", "%s")


def _tables(sql: str) -> str:
    sql = re.sub(r"--.*", "", sql).replace(HAS_SPECTRUM, f"{HAS_SPECTRUM} > 0")
    for word, own in _WORDS.items():
        sql = sql.replace(word, own)
    parted = r"\1,\n    rowid BIGINT NOT NULL DEFAULT nextval('record_number')\n) PARTITION BY RANGE (received_ms);"
    sql = re.sub(r"(CREATE TABLE record \(.*?)\s*\n\);", parted, sql, flags=re.DOTALL)
    return sql.replace(_ONCE, _KEYS)


def schema() -> str:
    """All that an empty database needs."""
    return f"CREATE SEQUENCE record_number;\n{_FUNCTIONS}{_tables(SCHEMA)}{_OWN}"


def migration(version: int) -> str:
    """From a version to the next; KeyError where there is none."""
    if version < FIRST_VERSION:
        raise KeyError(version)
    return _tables(MIGRATIONS[version]) + _OWN_MIGRATIONS.get(version, "")


def month(received_ms: int) -> tuple[str, int, int]:
    """The partition of a receipt: (its table, from, to), ms since 1970."""
    when = datetime.fromtimestamp(received_ms / 1000, UTC)
    begin = datetime(when.year, when.month, 1, tzinfo=UTC)
    end = datetime(when.year + when.month // 12, when.month % 12 + 1, 1, tzinfo=UTC)
    return f"record_{begin:%Y_%m}", round(begin.timestamp() * 1000), round(end.timestamp() * 1000)
