"""Writes what a store holds into a folder of Parquet files, each record once, however often it is run or killed.

    LAKE/manifest.json                                    what is there: each file with its SHA-256, and how far it is
    LAKE/site=works/day=2026-11-28/000017.parquet         records by the day that they were measured on

A file is written aside, flushed and renamed, and counts when the manifest names it, which is replaced last. A run that
was killed before that leaves files that the next run takes away before it writes their records again. A file never
changes; a record that comes late is in a file of its own in the folder of its day.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from quaver.errors import LakeError
from quaver.files.private import flush
from quaver.lake.columns import SCHEMA, row_of
from quaver.query.source import Place, Source

MANIFEST = "manifest.json"
_FORMAT, _VERSION = "quaver lake", 1
_ASIDE = ".aside"  # of a file that is being written
_READ = 2000  # records read at once
_ROUND = 200_000  # records in memory, 2 kB each, and then in files that the manifest names


@dataclass
class Done:
    """What a run has added."""

    records: int = 0
    files: int = 0
    bytes: int = 0


@dataclass
class _Lake:
    """What the manifest says."""

    place: Place = field(default_factory=Place)
    records: int = 0
    next: int = 1  # number of the next file
    files: list[dict[str, Any]] = field(default_factory=list)


def export(source: Source, folder: Path, told: Callable[[int], None] = lambda count: None) -> Done:
    """Add to the lake in `folder` what `source` has and it has not. told: hears how many records are written.

    Raises LakeError for the folder, StoreError for the store; what was written until then stays.
    """
    done = Done()
    try:
        with _alone(folder):
            lake = _open(folder)
            place = source.find(lake.place)
            while True:
                parts: dict[tuple[str, str], list[dict[str, Any]]] = {}
                count = 0
                while count < _ROUND and (readings := source.after(place, _READ)):
                    for reading in readings:
                        site, day, row = row_of(reading)
                        parts.setdefault((site, day), []).append(row)
                    place = readings[-1].place
                    count += len(readings)
                if not count:
                    return done
                _write(folder, lake, parts, place, done)
                told(done.records)
    except OSError as error:
        raise LakeError(
            f"{error.filename or folder}: can't be written ({error.strerror or error}); free disk space for it, or "
            "name another folder; what is in the manifest stands"
        ) from error


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LakeError(f"{folder}: another quaver export writes to it; wait until that one has ended") from error
    finally:
        os.close(descriptor)


def _open(folder: Path) -> _Lake:
    """The lake as its manifest has it, with what no manifest names taken away."""
    path = folder / MANIFEST
    lake = _Lake()
    if path.exists():
        try:
            found = json.loads(path.read_bytes())
            if (found["format"], found["version"]) != (_FORMAT, _VERSION):
                raise LakeError(f"{path}: is of version {found['version']}, this quaver knows {_VERSION}; update it")
            lake = _Lake(Place(*found["place"]), found["records"], found["next"], found["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise LakeError(f"{path}: is no manifest of quaver export; name another folder") from error
    elif any(entry.name != _ASIDE and not entry.name.startswith("site=") for entry in folder.iterdir()):
        raise LakeError(f"{folder}: has other files in it and no {MANIFEST}; name a new folder")
    named = {file["path"] for file in lake.files}
    (folder / _ASIDE).unlink(missing_ok=True)
    for left in folder.glob("site=*/day=*/[0-9]*.parquet"):
        if str(left.relative_to(folder)) not in named:
            left.unlink()
    return lake


def _write(
    folder: Path,
    lake: _Lake,
    parts: Mapping[tuple[str, str], Sequence[dict[str, Any]]],
    place: Place,
    done: Done,
) -> None:
    aside = folder / _ASIDE
    try:
        for (site, day), rows in sorted(parts.items()):
            where = f"site={quote(site, safe='')}/day={day}/{lake.next:06d}.parquet"
            path = folder / where
            path.parent.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist(sorted(rows, key=_order), SCHEMA)
            pq.write_table(table, aside, compression="zstd")
            with aside.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            flush(aside)
            size = aside.stat().st_size
            aside.replace(path)
            for one in (path.parent, path.parent.parent, folder):
                flush(one)
            lake.files.append({"path": where, "sha256": digest, "bytes": size, "records": len(rows)})
            lake.next += 1
            lake.records += len(rows)
            done.records += len(rows)
            done.files += 1
            done.bytes += size
    finally:
        aside.unlink(missing_ok=True)
    lake.place = place
    manifest = {
        "format": _FORMAT,
        "version": _VERSION,
        "records": lake.records,
        "place": list(lake.place),
        "next": lake.next,
        "files": lake.files,
    }
    with aside.open("x") as file:
        file.write(json.dumps(manifest, indent=1) + "\n")
    flush(aside)
    aside.replace(folder / MANIFEST)
    flush(folder)


def _order(row: Mapping[str, Any]) -> tuple[str, int, int]:
    return row["id"], row["boot"], row["seq"]
