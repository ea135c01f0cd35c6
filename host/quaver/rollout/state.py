"""Rollouts in one SQLite file: what each is, how far it is, and every node in it. What was written survives a kill."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.errors import RolloutError
from quaver.files.private import data_path
from quaver.files.private_base import open_private_base
from quaver.rollout.engine import ABORTED, ENDED, HAD_IT, PAUSED, RUNNING, UNHEALTHY, UPDATED, WATCHED, Member, Rules

VERSION = 1

_SCHEMA = """
CREATE TABLE rollout (
    number INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,      -- of the release
    version TEXT NOT NULL,
    envelopes BLOB NOT NULL,        -- its signed manifests, each behind its length in four bytes
    selectors TEXT NOT NULL,        -- JSON
    windows TEXT NOT NULL,          -- JSON
    concurrency INTEGER NOT NULL,
    step_s REAL NOT NULL,
    watch_s REAL NOT NULL,
    expires REAL NOT NULL,          -- s since 1970, as all times here
    started REAL NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE TABLE node (
    rollout INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 8),
    prefix TEXT NOT NULL, wave INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    failures INTEGER NOT NULL, counted INTEGER NOT NULL, since REAL NOT NULL, boot INTEGER NOT NULL,
    restarts INTEGER NOT NULL, heap INTEGER NOT NULL, loud INTEGER NOT NULL, command INTEGER NOT NULL,
    signature INTEGER NOT NULL,
    PRIMARY KEY (rollout, id)
) STRICT;
CREATE TABLE runs (                 -- the last release that a node has confirmed in a rollout
    id BLOB PRIMARY KEY CHECK (length(id) = 8),
    sequence INTEGER NOT NULL
) STRICT;
"""
_MEMBER = tuple(field.name for field in fields(Member))


@dataclass(frozen=True)
class Rollout:
    """One rollout, without its nodes. selectors, windows: as they were given. started: s since 1970."""

    number: int
    sequence: int
    version: str
    envelopes: tuple[bytes, ...]
    selectors: tuple[str, ...]
    windows: tuple[str, ...]
    rules: Rules
    started: float
    state: str
    why: str

    @property
    def session(self) -> str:
        """The id of its session at the broker, which keeps what nodes say while nobody runs the rollout."""
        return f"quaver-rollout-{self.number}-{int(self.started)}"


def default_path() -> Path:
    """`QUAVER_ROLLOUTS`, or "rollouts.sqlite" in the user's data folder for "quaver"."""
    return data_path("QUAVER_ROLLOUTS", "rollouts.sqlite")


class Rollouts:
    """The rollouts in one file, made on first use, which only its owner can read. Every method raises RolloutError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        with self._failures():
            self._base = open_private_base(path, _SCHEMA, VERSION, option="--rollouts", failure=RolloutError)
            self._base.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RolloutError(
                f"{self.path}: is no file of rollouts, or can't be written ({error}); name another with --rollouts"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._failures():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._base.close()
        if self._lock >= 0:
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def claim(self) -> bool:
        """Be the one who runs rollouts of this file, until `close` or the end of the process; False: another is."""
        if self._lock < 0:
            try:
                self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise RolloutError(
                    f"{self.path}.lock: can't be created ({error.strerror}); name another file with --rollouts"
                ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def start(
        self,
        *,
        sequence: int,
        version: str,
        envelopes: Sequence[bytes],
        selectors: Sequence[str],
        windows: Sequence[str],
        rules: Rules,
        members: Iterable[Member],
    ) -> Rollout:
        """Write a new rollout and its nodes. Raises RolloutError where one is not over."""
        packed = b"".join(len(envelope).to_bytes(4, "big") + envelope for envelope in envelopes)
        with self._transaction():
            last = self._last()
            if last is not None and last.state not in (ENDED, ABORTED):
                raise not_over(last)
            values = (
                *(sequence, version, packed, json.dumps(list(selectors)), json.dumps(list(windows))),
                *(rules.concurrency, rules.step_s, rules.watch_s, rules.expires, time.time(), RUNNING, ""),
            )
            done = self._base.execute(
                "INSERT INTO rollout (sequence, version, envelopes, selectors, windows, concurrency, step_s, watch_s, "
                "expires, started, state, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self._put(int(done.lastrowid or 0), members)
        found = self.last()
        assert found is not None
        return found

    def _put(self, number: int, members: Iterable[Member]) -> None:
        marks = ", ".join("?" * (len(_MEMBER) + 1))
        self._base.executemany(
            f"INSERT OR REPLACE INTO node (rollout, {', '.join(_MEMBER)}) VALUES ({marks})",  # noqa: S608  our own
            [(number, *(getattr(member, name) for name in _MEMBER)) for member in members],
        )

    def save(self, rollout: Rollout, state: str, why: str, members: Iterable[Member]) -> None:
        """Write how far a rollout is; a pause or an abort that another program has set stands."""
        members = list(members)
        runs = [m.id for m in members if m.state in (WATCHED, UPDATED, UNHEALTHY) and m.reason != HAD_IT]
        with self._transaction():
            self._base.execute(
                "UPDATE rollout SET state = ?, why = ? WHERE number = ? AND state = ?",
                (state, why, rollout.number, RUNNING),
            )
            self._put(rollout.number, members)
            self._base.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?)", [(node, rollout.sequence) for node in runs]
            )

    def state(self, rollout: int) -> tuple[str, str]:
        """The state of a rollout, and why."""
        with self._failures():
            found = self._base.execute("SELECT state, why FROM rollout WHERE number = ?", (rollout,)).fetchone()
        return str(found[0]), str(found[1])

    def set_state(self, rollout: int, state: str, why: str) -> None:
        """Pause, abort or resume a rollout, whoever runs it."""
        with self._transaction():
            self._base.execute("UPDATE rollout SET state = ?, why = ? WHERE number = ?", (state, why, rollout))

    def last(self) -> Rollout | None:
        """The newest rollout."""
        with self._failures():
            return self._last()

    def newest(self, count: int) -> list[Rollout]:
        """The newest rollouts, the last one first."""
        with self._failures():
            rows = self._base.execute("SELECT * FROM rollout ORDER BY number DESC LIMIT ?", (count,)).fetchall()
        return [self._rollout(row) for row in rows]

    def pause(self, by: str) -> Rollout:
        """Tell no more nodes of the last rollout, whoever runs it. by: in words. Raises RolloutError."""
        rollout = self.known()
        if rollout.state != RUNNING:
            raise RolloutError(f"rollout {rollout.number} is {rollout.state}: there is nothing to pause")
        self.set_state(rollout.number, PAUSED, by)
        return rollout

    def resumable(self) -> Rollout:
        """The last rollout, which this program may run from now on. Raises RolloutError where it may not."""
        rollout = self.known()
        if rollout.state not in (RUNNING, PAUSED):
            raise RolloutError(f"rollout {rollout.number} is {rollout.state}: start another with quaver rollout start")
        if not self.claim():
            raise RolloutError(f"{self.path}: another program runs a rollout; see quaver rollout status, or pause it")
        return rollout

    def known(self) -> Rollout:
        """The last rollout. Raises RolloutError where there is none."""
        rollout = self.last()
        if rollout is None:
            raise RolloutError(f"{self.path}: there is no rollout; start one with quaver rollout start")
        return rollout

    def _last(self) -> Rollout | None:
        row = self._base.execute("SELECT * FROM rollout ORDER BY number DESC LIMIT 1").fetchone()
        return None if row is None else self._rollout(row)

    def _rollout(self, row: sqlite3.Row) -> Rollout:
        packed, envelopes = row["envelopes"], []
        while packed:
            size = int.from_bytes(packed[:4], "big")
            envelopes.append(packed[4 : 4 + size])
            packed = packed[4 + size :]
        return Rollout(
            row["number"],
            row["sequence"],
            row["version"],
            tuple(envelopes),
            tuple(json.loads(row["selectors"])),
            tuple(json.loads(row["windows"])),
            Rules(row["concurrency"], row["step_s"], row["watch_s"], row["expires"]),
            started=row["started"],
            state=row["state"],
            why=row["why"],
        )

    def members(self, rollout: int) -> list[Member]:
        """The nodes of a rollout, in the order of waves and topic prefixes."""
        with self._failures():
            rows = self._base.execute(
                f"SELECT {', '.join(_MEMBER)} FROM node WHERE rollout = ? ORDER BY wave, prefix",  # noqa: S608  our own
                (rollout,),
            ).fetchall()
        found = [Member(*row) for row in rows]
        for member in found:
            member.counted, member.loud = bool(member.counted), bool(member.loud)
        return found

    def runs(self) -> dict[bytes, int]:
        """The sequence number of the last release that each node has confirmed in a rollout."""
        with self._failures():
            return dict(self._base.execute("SELECT id, sequence FROM runs").fetchall())


def not_over(rollout: Rollout) -> RolloutError:
    """What to say when another is to be started."""
    return RolloutError(
        f"rollout {rollout.number} (release {rollout.sequence}) is {rollout.state}, not over; see quaver rollout "
        "status, then resume or abort it"
    )
