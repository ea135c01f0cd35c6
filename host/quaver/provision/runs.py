"""The provisioning room's runs: how far `quaver provision` is with each node, for others to look at.

One SQLite file beside the inventory that only its owner can read. It has the last run of each node, and no secret.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.errors import InventoryError
from quaver.files.private_base import open_private_base

WORKING, ASKING, FAILED, INTERRUPTED, DONE = "working", "asking", "failed", "interrupted", "done"
VERSION = 1
_SCHEMA = """
CREATE TABLE run (
    node BLOB PRIMARY KEY CHECK (length(node) = 8),
    place TEXT NOT NULL,            -- its topic prefix; '' before it is known
    step TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL,
    began REAL NOT NULL, since REAL NOT NULL,   -- s since 1970
    program TEXT NOT NULL           -- that carries it out
) STRICT;
"""


@dataclass(frozen=True)
class Run:
    """The last run of a node. step: the question or work that came last, by its name in the flow, or "plan" where its
    row could not be carried out. why: of a failure, in one line. began, since: s since 1970; since: of step and state.
    """

    node: bytes
    place: str
    step: str
    state: str
    why: str
    began: float
    since: float


def runs_path(inventory: Path) -> Path:
    """Of the runs that fill that inventory."""
    return inventory.with_name("provisioning.sqlite")


class Runs:
    """The runs in one file, made on first use; one thread's. now: the date, s since 1970.

    Every method raises InventoryError.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path, self._now = path, now
        with self._failures():
            self._base = open_private_base(path, _SCHEMA, VERSION, option="--inventory", failure=InventoryError)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InventoryError(
                f"{self.path}: can't be used ({error}); free disk space, or remove it: it holds no node"
            ) from error

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, node: bytes, step: str, state: str, why: str = "", place: str = "", fresh: bool = False) -> None:
        """What this program does with a node now. fresh: a run begins."""
        now = self._now()
        with self._failures():
            self._base.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE SET "
                "place = iif(excluded.place = '', place, excluded.place), step = excluded.step, "
                "state = excluded.state, why = excluded.why, began = iif(?, excluded.began, began), "
                "since = excluded.since, program = excluded.program",
                (node, place, step, state, " ".join(why.split()), now, now, _program(os.getpid()), fresh),
            )

    def forget(self, node: bytes) -> None:
        """Take away what is known of a node's last run."""
        with self._failures():
            self._base.execute("DELETE FROM run WHERE node = ?", (node,))

    def all(self) -> list[Run]:
        """The last run of each node, the newest first. One whose program is gone without a word is interrupted."""
        with self._failures():
            rows = self._base.execute("SELECT * FROM run ORDER BY since DESC").fetchall()
        found = []
        for row in rows:
            values = dict(row)
            program = values.pop("program")
            if values["state"] in (WORKING, ASKING) and _program(int(program.partition(" ")[0])) != program:
                values["state"] = INTERRUPTED
            found.append(Run(**values))
        return found


def _program(pid: int) -> str:
    """A program that runs, told apart from a later one of the same number by when it started; "" for none.

    The start is field 22 of /proc/PID/stat, proc(5).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return f"{pid} {stat.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)  # a system without /proc
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return f"{pid} "
