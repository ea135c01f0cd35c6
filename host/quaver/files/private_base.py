"""SQLite files that only their owner can read, made on first use."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from quaver.errors import QuaverError


def open_private_base(
    path: Path, schema: str, version: int, *, option: str, failure: type[QuaverError], shared: bool = False
) -> sqlite3.Connection:
    """The file with that schema, statements divided by ";" and a line's end; autocommit, rows by name.

    option: by which a person names another file. shared: by threads, which the caller has take turns. Raises
    `failure`, and sqlite3.Error for what is no such file.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        found = os.fstat(descriptor)
        os.close(descriptor)
    except OSError as error:
        raise failure(f"{path}: can't be used ({error.strerror}); name another with {option}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
        raise failure(
            f"{path}: other users can read it, or it is not a plain file; make it private with: chmod 600 {path}"
        )
    base = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=not shared)
    base.row_factory = sqlite3.Row
    base.execute("BEGIN IMMEDIATE")
    its = base.execute("PRAGMA user_version").fetchone()[0]
    if its == 0 and not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in schema.split(";\n"):
            base.execute(statement)
        base.execute(f"PRAGMA user_version = {version}")
        its = version
    base.execute("COMMIT")
    if its != version:
        raise failure(f"{path}: is of version {its}, this quaver reads {version}; update quaver or name another file")
    return base
