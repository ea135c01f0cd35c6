"""A store's backup as one file with a manifest beside it, and a store from a backup, checked before it is used.

    plant.backup            the whole store, as it was at one moment, while ingest wrote on
    plant.backup.json       its SHA-256, its size, and what is in it; written last, so a backup without it is none

SQLite's own backup copies the pages inside of one read transaction, so records keep their places, and whoever reads the
store in order (the bridge, the lake) goes on with a store that was restored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from quaver.errors import BackupError
from quaver.files.private import flush
from quaver.store.schema import MIGRATIONS, VERSION
from quaver.store.store import Store

FORMAT = "quaver store backup"
_CHUNK = 1 << 20
_ENGINES = {"sqlite": "a SQLite file", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Manifest:
    """What is known of a backup. version: of the store. taken: UTC, ISO 8601. newest: the last record that came."""

    format: str
    version: int
    taken: str
    bytes: int
    sha256: str
    nodes: int
    records: int
    newest: tuple[int, int, int] | None  # node's number, boot, seq
    # Of a database alone: the schema that its store lies in, and the version of the pg_dump that took it.
    engine: str = "sqlite"
    schema: str = ""
    tool_version: int = 0


def manifest_of(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.json")


def back_up(path: Path, backup: Path) -> Manifest:
    """Copy the store at `path` into a new file. Raises BackupError, and StoreError for what is wrong with the store."""
    refuse_existing(backup)
    aside = backup.with_name(f".{backup.name}.part")
    with writing(backup, aside):
        Store(path, write=False).close()  # says what is wrong with it
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        new_file(aside)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(aside)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # all of it is in this one file
        found = _look(aside)
        put(aside, backup, found)
    return found


def refuse_existing(backup: Path) -> None:
    """Raises BackupError where there is a backup of that name, or a part of one."""
    for file in (backup, manifest_of(backup)):
        if os.path.lexists(file):
            raise BackupError(f"{file}: exists; name a new file, a backup never overwrites one")


def put(aside: Path, backup: Path, found: Manifest) -> None:
    """Give a file that is whole its name, and then its manifest; both are on the disk afterwards."""
    flush(aside)
    aside.replace(backup)
    with new_file(aside).open("w") as manifest:
        manifest.write(json.dumps(asdict(found), indent=1) + "\n")
    flush(aside)
    aside.replace(manifest_of(backup))
    flush(backup.parent)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restore(backup: Path, path: Path) -> Manifest:
    """Make a new store at `path` from a backup that is what its manifest says. Raises BackupError."""
    wanted = read_manifest(backup, "sqlite")
    for file in (path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm", "journal"))):
        if os.path.lexists(file):
            raise BackupError(f"{file}: exists; move it away, or name a new file: a store is never overwritten")
    aside = path.with_name(f".{path.name}.part")
    with writing(path, aside):
        _copy(backup, aside)
        found = _look(aside)
        if (found.bytes, found.sha256) != (wanted.bytes, wanted.sha256):
            raise BackupError(f"{backup}: is not what its manifest says: it was cut or altered; take another backup")
        if (found.records, found.nodes, found.newest) != (wanted.records, wanted.nodes, wanted.newest):
            raise BackupError(f"{manifest_of(backup)}: is of another backup; find the one that belongs to {backup}")
        flush(aside)
        os.link(aside, path)  # which fails where somebody has made that file meanwhile
        aside.unlink()
        flush(path.parent)
    return found


def read_manifest(backup: Path, engine: str) -> Manifest:
    """The manifest of a backup of that engine. Raises BackupError."""
    try:
        found = json.loads(manifest_of(backup).read_bytes())
        newest = found["newest"]
        manifest = Manifest(**{**found, "newest": tuple(newest) if newest else None})
        if manifest.format != FORMAT:
            raise ValueError
    except FileNotFoundError as error:
        raise BackupError(
            f"{backup}: has no manifest {manifest_of(backup).name} beside it, so it is no whole backup; take another"
        ) from error
    except OSError as error:
        raise BackupError(f"{manifest_of(backup)}: can't be read ({error.strerror}); check its permissions") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{manifest_of(backup)}: is no manifest of quaver store backup; name another backup"
        ) from error
    if manifest.engine != engine:
        into = "postgresql://HOST/NAME" if manifest.engine == "postgresql" else "FILE"
        raise BackupError(
            f"{backup}: is of a store in {_ENGINES.get(manifest.engine, 'another engine')}; restore it with --store "
            f"{into}; quaver store copy takes a store from one engine to the other"
        )
    if manifest.version != VERSION and manifest.version not in MIGRATIONS:
        raise BackupError(f"{backup}: is of version {manifest.version}, this quaver reads {VERSION}; update quaver")
    return manifest


def _look(path: Path) -> Manifest:
    """What a copy holds, once SQLite has found it sound. Raises BackupError."""
    digest = digest_of(path)
    try:
        # Nobody else knows this file: without a lock nothing is made beside it.
        copy = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(copy):
            if copy.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                raise sqlite3.DatabaseError("pages that do not fit together")
            newest = copy.execute("SELECT node, boot, seq FROM record ORDER BY rowid DESC LIMIT 1").fetchone()
            return Manifest(
                format=FORMAT,
                version=copy.execute("PRAGMA user_version").fetchone()[0],
                taken=datetime.now(UTC).isoformat(timespec="seconds"),
                bytes=path.stat().st_size,
                sha256=digest,
                nodes=copy.execute("SELECT count(*) FROM node").fetchone()[0],
                records=copy.execute("SELECT count(*) FROM record").fetchone()[0],
                newest=newest,
            )
    except sqlite3.Error as error:
        raise BackupError(
            f"the copy is corrupt ({error}); take another backup, or repair the store with .recover"
        ) from error


def _copy(source: Path, target: Path) -> None:
    try:
        file = source.open("rb")
    except OSError as error:
        raise BackupError(f"{source}: can't be read ({error.strerror}); name the file of a backup") from error
    with file, new_file(target).open("wb") as copy:
        while chunk := file.read(_CHUNK):
            copy.write(chunk)


def new_file(path: Path) -> Path:
    """An empty file that its owner alone can read."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    return path


@contextlib.contextmanager
def writing(target: Path, aside: Path) -> Iterator[None]:
    """What goes wrong is told of the file that was to be, and leaves nothing half-written."""
    try:
        yield
    except FileExistsError as error:
        raise BackupError(f"{target}: exists; name a new file") from error
    except OSError as error:
        raise BackupError(
            f"{target}: can't be written ({error.strerror}); free disk space or name another file"
        ) from error
    except sqlite3.Error as error:
        raise BackupError(f"{target}: can't be written ({error}); free disk space, or name another file") from error
    finally:
        for file in (aside, aside.with_name(f"{aside.name}-journal")):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
