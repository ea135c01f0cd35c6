"""A backup of a store in PostgreSQL, by the database's own pg_dump and pg_restore, and a store from it.

    plant.backup            the archive of pg_dump (custom format): the store's schema, as it was at one moment
    plant.backup.json       the manifest, as that of a file's backup (backup.py)

What the manifest tells is read in the very snapshot that pg_dump takes (PostgreSQL 15, section 9.27.5), so both are of
one moment. An archive is read whole before it is called a backup, and is put into a database in one transaction.

The password is no argument of these programs either: they take it as libpq does, from PGPASSFILE or PGPASSWORD.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from quaver.errors import BackupError
from quaver.store.copying import set_apart
from quaver.store.location import PostgresqlUrl, open_records
from quaver.store.postgresql_programs import program
from quaver.store.store import Store
from quaver.upkeep.backup import FORMAT, Manifest, digest_of, new_file, put, read_manifest, refuse_existing, writing

ENGINE = "postgresql"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def back_up(url: PostgresqlUrl, backup: Path) -> Manifest:
    """Put the store at `url` into a new file. Raises BackupError, and StoreError for what is wrong with the store."""
    refuse_existing(backup)
    aside = backup.with_name(f".{backup.name}.part")
    from quaver.store.postgresql import PostgresqlStore

    with open_records(url, write=False) as store, writing(backup, aside):
        assert isinstance(store, PostgresqlStore)
        dump, version = _found("pg_dump", store.server)
        with store.snapshot() as snapshot:
            nodes, records, newest = _look(store)
            (schema,) = store.query("SELECT current_schema()")[0]
            quoted = schema.replace('"', '""')
            _run(dump, "--format=custom", f"--snapshot={snapshot}", f'--schema="{quoted}"', f"--file={new_file(aside)}",
                 "--no-password", f"--dbname={url}")  # fmt: skip
        _run(_found("pg_restore", version)[0], f"--file={os.devnull}", str(aside))  # reads all that is in it
        found = Manifest(
            format=FORMAT,
            version=store.version,
            taken=datetime.now(UTC).isoformat(timespec="seconds"),
            bytes=aside.stat().st_size,
            sha256=digest_of(aside),
            nodes=nodes,
            records=records,
            newest=newest,
            engine=ENGINE,
            schema=schema,
            tool_version=version,
        )
        put(aside, backup, found)
    return found


def restore(backup: Path, url: PostgresqlUrl) -> Manifest:
    """Make a store in an empty database from a backup that is what its manifest says.

    Raises BackupError, and StoreError for what is wrong with the database.
    """
    wanted = read_manifest(backup, ENGINE)
    try:
        same = (backup.stat().st_size, digest_of(backup)) == (wanted.bytes, wanted.sha256)
    except OSError as error:
        raise BackupError(f"{backup}: can't be read ({error.strerror}); name the file of a backup") from error
    if not same:
        raise BackupError(f"{backup}: is not what its manifest says: it was cut or altered; take another backup")
    from quaver.store.postgresql import empty_schema

    schema = empty_schema(url.text)
    if schema != wanted.schema:
        raise BackupError(
            f"{backup}: is of the schema {wanted.schema}, and {url} means {schema}; make that schema in the database, "
            f"and add options=-csearch_path%3D{wanted.schema} to the URL"
        )
    _run(_found("pg_restore", wanted.tool_version)[0], "--single-transaction", "--exit-on-error", "--no-owner",
         "--no-privileges", "--no-password", f"--schema={schema}", f"--dbname={url}", str(backup))  # fmt: skip
    with open_records(url) as store:
        if _look(store) != (wanted.nodes, wanted.records, wanted.newest):
            raise BackupError(f"{url}: has not what {backup} says; drop that database, and take another backup")
        set_apart(store)
    return wanted


def _look(store: Store) -> tuple[int, int, tuple[int, int, int] | None]:
    """(nodes, records, the newest one) as a manifest has them."""
    newest = store.query("SELECT node, boot, seq FROM record ORDER BY rowid DESC LIMIT 1")
    counts = (int(store.query(f"SELECT count(*) FROM {table}")[0][0]) for table in ("node", "record"))  # noqa: S608
    return *counts, newest[0] if newest else None  # type: ignore[return-value]


def _found(name: str, version: int) -> tuple[str, int]:
    """A program of PostgreSQL that is not older than `version`, and its version. Raises BackupError."""
    path = program(name)
    if path is None:
        raise BackupError(f"{name}: is not installed, and is needed here; run: apt-get install postgresql-client")
    told = _VERSION.search(_run(path, "--version"))
    own = int(told[1]) if told else 0
    if own < version:
        raise BackupError(
            f"{path}: is of version {own}, and {version} is needed; run: apt-get install postgresql-client-{version}"
        )
    return path, own


def _run(path: str, *arguments: str) -> str:
    """What a program prints. Raises BackupError with what it says where it fails."""
    name = Path(path).name
    try:
        # A limit of a file's size is then what it fails with, and does not kill it.
        done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", env={**os.environ, "LC_ALL": "C"}, restore_signals=False)  # fmt: skip
    except OSError as error:
        raise BackupError(f"{path}: can't be started ({error.strerror}); install it anew") from error
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), "") or f"ended with {done.returncode}"
        said = said.removeprefix(f"{name}: ").removeprefix("error: ")
        if "No space left" in said or "File too large" in said:
            raise BackupError(f"{name}: {said}; free disk space, or name another file")
        raise BackupError(f"{name}: {said}; nothing was kept")
    return done.stdout
