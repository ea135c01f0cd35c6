"""A PostgreSQL of our own behind a socket in a folder, to measure and to prove against: it can be stopped and started.

The server refuses to run as root: where the caller is root, it runs as the user that its package made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.errors import StoreError
from quaver.store.postgresql_programs import program

_START_S = 60.0
_USERS = ("postgres", "nobody")
SAFE = "fsync = on"
QUICK = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off"


class Postgresql:
    """A cluster in a temporary folder, removed at the end. settings: lines of its configuration.

    Its user `quaver` may do all and needs no password; who else connects needs one. Starting raises StoreError where
    it is not installed, or does not run.
    """

    def __init__(self, settings: str = SAFE) -> None:
        self._settings = settings
        self._made = 0
        self._folder: Path | None = None
        self._as: dict[str, Any] = {}

    def url(self, database: str = "postgres", user: str = "quaver") -> str:
        return f"postgresql:///{database}?host={self._folder}&user={user}"

    def create(self) -> str:
        """The URL of a place of its own for one store: a new schema, which is quicker to make than a database."""
        self._made += 1
        name = f"made_{self._made}"
        self.run(f"CREATE SCHEMA {name}")
        return f"{self.url()}&options=-csearch_path%3D{name}"

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run a statement as the one who may do all."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def start(self) -> None:
        if self._folder is None:
            self._folder = self._make()
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-t", str(int(_START_S)), "-l", self._folder / "log",
                  "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """mode: "fast" as a restart does, "immediate" as a power cut."""
        assert self._folder is not None
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", mode, "stop")

    def _make(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="quaver-pg-"))
        if os.geteuid() == 0:
            user = next((name for name in _USERS if _known(name)), "")
            if not user:
                raise StoreError("PostgreSQL does not run as root, and here is no user postgres; be another user")
            known = pwd.getpwnam(user)
            os.chown(folder, known.pw_uid, known.pw_gid)
            self._as = {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
        data = folder / "data"
        self._run("initdb", "-D", data, "-U", "quaver", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync",
                  "--no-instructions")  # fmt: skip
        hba = "local all quaver trust\nlocal all all scram-sha-256\n"
        more = f"\nlisten_addresses = ''\nunix_socket_directories = '{folder}'\n{self._settings}\n"
        for name, text, mode in (("pg_hba.conf", hba, "w"), ("postgresql.conf", more, "a")):
            with (data / name).open(mode) as file:
                file.write(text)
        return folder

    def _run(self, name: str, *arguments: str | Path) -> None:
        found = _program(name)
        try:
            done = subprocess.run(
                [found, *arguments], cwd="/", capture_output=True, text=True, timeout=2 * _START_S, **self._as
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreError(f"{name}: does not run ({error})") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise StoreError(f"{name}: {said or f'ended with {done.returncode}'}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop("immediate")
        except StoreError:
            pass  # it is stopped already
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _program(name: str) -> str:
    found = program(name)
    if found is None:
        raise StoreError("PostgreSQL is not installed, and is needed here; run: apt-get install postgresql")
    return found
