"""The audit trail: who did what, each row bound to the one before by SHA-256, and its head kept in a second file.

A row's hash is SHA-256 over the former row's hash (32 zero bytes for the first) and the row as JSON:
[number, time_ms, who, what, about, details], without blanks, everything but ASCII escaped, `details` being the text as
it is stored. So a row that is edited, taken out or moved breaks the chain from there, and a cut tail is shorter than
the head says. What was deleted for its age (`Audit.delete`) is known to the second file alone: how many rows, and the
hash of the last one, from which the chain goes on. Whoever may write both files can still forge a whole trail: copy
heads to where they can't.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from quaver.access.base import HEAD, NAME, NOT_CUT, VERSION, Base
from quaver.errors import AccessError
from quaver.files.private import read_private, replace_private

BROKEN = "audit trail broken"  # what a row says that follows a break
DELETED = "audit rows deleted"  # what a row says that follows a deletion
_START = bytes(32)
_TEXT_MAX, _DETAILS_MAX, _HEAD_MAX = 256, 4000, 4096  # characters; bytes
_SECRETS = frozenset({"password", "secret", "token", "link", "hash"})
_COLUMNS = "number, time_ms, who, what, about, details, hash"


class Row(NamedTuple):
    """One row. time_ms: since 1970. details: JSON of an object."""

    number: int
    time_ms: int
    who: str
    what: str
    about: str
    details: str
    hash: bytes


class Head(NamedTuple):
    """The newest row that the second file knows; no rows: 0 and zeros. deleted, start: how many of the first rows were
    deleted, and the hash of the last one of them."""

    rows: int
    hash: bytes
    deleted: int = 0
    start: bytes = _START


@dataclass(frozen=True)
class Verdict:
    """What a check has found. rows: those that hold. broken: the first one that does not, 0: none. why: in words."""

    rows: int
    broken: int = 0
    why: str = ""


class Audit:
    """The trail in a base. Nothing here edits or deletes, and the file itself refuses it."""

    def __init__(self, base: Base) -> None:
        self._base = base
        if not base.head_path.exists():
            with base.writing() as rows:
                if not _last(rows).rows:
                    base.head = _packed(Head(0, _START))  # so that a head which is missing later was taken away

    def write(self, who: str, what: str, about: str = "", details: Mapping[str, Any] | None = None) -> int:
        """Add a row, on the disk when this returns, or with what it is written in; its number. Raises AccessError.

        who: a user's name, "" for a stranger. what: a few words, the same for the same thing. about: what it was done
        to. details: values for JSON; secrets are left out by their names, and none belongs here under another.
        """
        shown = {key: "(not written)" if key in _SECRETS else value for key, value in (details or {}).items()}
        text = json.dumps(shown, separators=(",", ":"), sort_keys=True, default=str)
        if len(text) > _DETAILS_MAX:
            text = json.dumps({"cut": text[: _DETAILS_MAX // 2]}, separators=(",", ":"))
        with self._base.writing() as base:
            last, head = _last(base), read_head(self._base.head_path)
            # In one transaction the first row is held against the file, which has the head after the last one.
            why = _disagree(base, last, head) if self._base.head is None else ""
            if why:
                known = head.hash.hex() if head else ""
                last = self._append(base, last, ("", BROKEN, "", json.dumps({"why": why, "head": known})), head)
            return self._append(base, last, (_short(who), _short(what), _short(about), text), head).rows

    def delete(self, before_ms: int, who: str) -> int:
        """Delete the rows before a date, s since 1970 x 1000, and note that: how many. Raises AccessError.

        A trail that does not hold is left as it is: the break would be gone with the rows.
        """
        with self._base.writing() as base:
            head = read_head(self._base.head_path)
            found = check(base, head)
            if head is None or found.broken:
                raise AccessError(f"the audit trail is broken, so nothing is deleted: {found.why}")
            row = last_before(base, before_ms)
            if row is None:
                return 0
            count = row["number"] - head.deleted
            self.write(who, DELETED, details={"rows": count, "before_ms": before_ms})
            last = _last(base)
            # The file says first that these rows may be gone: a cut between the two leaves a trail that holds.
            allowed = head._replace(deleted=row["number"], start=row["hash"])
            replace_private(self._base.head_path, _packed(allowed))
            base.execute("DROP TRIGGER audit_is_not_cut")
            base.execute("DELETE FROM audit WHERE number <= ?", (row["number"],))
            base.execute(NOT_CUT)
            self._base.head = _packed(allowed._replace(rows=last.rows, hash=last.hash))
        self._base.forget()
        return int(count)

    def _append(self, base: sqlite3.Connection, last: Head, said: tuple[str, str, str, str], file: Head | None) -> Head:
        row = Row(last.rows + 1, int(self._base.now() * 1000), *said, b"")
        chained = _hash(last.hash, row)
        base.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", row._replace(hash=chained))
        head = Head(row.number, chained, *(file[2:] if file else ()))
        self._base.head = _packed(head)
        return head

    def rows(self, before: int | None = None, limit: int = 100) -> list[Row]:
        """The newest rows, newest first; `before` a row's number: those before it."""
        with self._base.reading() as base:
            return newest(base, before, limit)

    def verify(self) -> Verdict:
        """Read the whole trail and tell whether it holds, by a connection of its own: it takes a while."""
        return verify(self._base.path.parent)


def newest(base: sqlite3.Connection, before: int | None, limit: int) -> list[Row]:
    """As `Audit.rows`."""
    query = f"SELECT {_COLUMNS} FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608  our own
    return [Row(*row) for row in base.execute(query, (2**62 if before is None else before, limit))]


def open_trail(folder: Path) -> closing[sqlite3.Connection]:
    """The trail in a state folder, to read alone: nothing is made, and nothing repaired. Raises AccessError."""
    path = folder / NAME
    if not path.is_file():
        raise AccessError(f"{folder}: holds no audit trail; name the folder of quaver serve with --state")
    try:
        base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
        base.row_factory = sqlite3.Row
        version = base.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise AccessError(f"{path}: can't be read ({error}); check who owns it, and what it is") from error
    if version != VERSION:
        base.close()
        raise AccessError(f"{path}: is of version {version}, this quaver reads {VERSION}; update quaver")
    return closing(base)


def verify(folder: Path) -> Verdict:
    """Read the whole trail of a state folder and tell whether it holds. Raises AccessError where there is none."""
    head = read_head(folder / HEAD)  # first: rows that are written meanwhile are no break
    with open_trail(folder) as base:
        try:
            return check(base, head)
        except sqlite3.Error as error:
            raise AccessError(f"{folder / NAME}: can't be read ({error}); restore it from a backup") from error


def last_before(base: sqlite3.Connection, before_ms: int) -> sqlite3.Row | None:
    """Number and hash of the last row of the trail's beginning that is before a date; None where there is none.

    A clock may have gone back: what stands behind a row that is to stay stays too.
    """
    row: sqlite3.Row | None = base.execute(
        "SELECT number, hash FROM audit WHERE number < "
        "coalesce((SELECT min(number) FROM audit WHERE time_ms >= ?), (SELECT max(number) + 1 FROM audit)) "
        "ORDER BY number DESC LIMIT 1",
        (before_ms,),
    ).fetchone()
    return row


def check(base: sqlite3.Connection, head: Head | None) -> Verdict:
    """Walk the chain from its start and hold it against the head. head: None where the second file is none."""
    last, told = Head(0, _START), 0
    at_head = Head(0, _START)
    rows = base.execute("SELECT count(*) FROM audit").fetchone()[0]
    for row in _walk(base):
        if head is not None and last.rows == 0 and row.number == head.deleted + 1:
            last = Head(head.deleted, head.start)
        if row.number != last.rows + 1:
            return Verdict(last.rows, last.rows + 1, f"row {last.rows + 1} is missing: the next one is {row.number}")
        if _hash(last.hash, row) != row.hash:
            return Verdict(last.rows, row.number, f"row {row.number} is not what was written, or not where it was")
        last = Head(row.number, row.hash)
        if head is not None and row.number == head.deleted and row.hash != head.start:
            return Verdict(
                last.rows, row.number, f"row {row.number} is another than {HEAD} knows: rows were written anew"
            )
        if row.what == BROKEN:
            told = told or row.number
        if head is not None and row.number == head.rows:
            at_head = last
    if head is None:
        if last.rows:
            return Verdict(last.rows, last.rows, f"{HEAD} is missing or is no head: whether rows are cut is not known")
    elif head.rows > last.rows:
        return Verdict(
            last.rows, last.rows + 1, f"the tail is cut: {HEAD} knows {head.rows} rows, {last.rows} are here"
        )
    elif at_head[:2] != head[:2]:
        return Verdict(last.rows, head.rows, f"row {head.rows} is another than {HEAD} knows: rows were written anew")
    if told:
        return Verdict(last.rows, told, f"row {told} tells of a break that was found when it was written")
    return Verdict(rows)


def _walk(base: sqlite3.Connection) -> Iterator[Row]:
    for row in base.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY number"):  # noqa: S608  our own
        yield Row(*row)


def _packed(head: Head) -> bytes:
    said: dict[str, Any] = {"rows": head.rows, "hash": head.hash.hex()}
    if head.deleted:
        said |= {"deleted": head.deleted, "start": head.start.hex()}
    return json.dumps(said).encode() + b"\n"


def read_head(path: Path) -> Head | None:
    """What the second file knows; None where it is missing, or no head."""
    try:
        data = read_private(path, _HEAD_MAX, AccessError)
        if data is None:
            return None
        kept = json.loads(data)
        start = bytes.fromhex(kept.get("start", _START.hex()))
        return Head(int(kept["rows"]), bytes.fromhex(kept["hash"]), int(kept.get("deleted", 0)), start)
    except (ValueError, KeyError, TypeError):
        return None


def _last(base: sqlite3.Connection) -> Head:
    row = base.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return Head(row[0], row[1]) if row else Head(0, _START)


def _disagree(base: sqlite3.Connection, last: Head, head: Head | None) -> str:
    """Why the chain is not the one of the head; "": it is, or goes further, as after a kill between the two writes."""
    if head is None:
        return f"{HEAD} was missing" if last.rows else ""
    if head.rows > last.rows:
        return f"the tail was cut: {HEAD} knew {head.rows} rows, {last.rows} were here"
    if not head.rows:
        return ""
    row = base.execute("SELECT hash FROM audit WHERE number = ?", (head.rows,)).fetchone()
    return "" if row and row[0] == head.hash else f"row {head.rows} was another than {HEAD} knew"


def _hash(before: bytes, row: Row) -> bytes:
    return sha256(before + json.dumps(list(row[:-1]), separators=(",", ":")).encode()).digest()


def _short(text: str) -> str:
    return text[:_TEXT_MAX].encode(errors="replace").decode()
