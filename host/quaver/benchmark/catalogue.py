"""What is measured: groups of recordings, each of one machine. What is wrong with them stands elsewhere."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.files.pinned import fetch
from quaver.recordings import Recording, load
from quaver.recordings.cwru import cwru_files
from quaver.recordings.mfpt import mfpt_files
from quaver.recordings.pronostia import PRONOSTIA_HZ, lives


@dataclass(frozen=True)
class Place:
    """Where a recording is. path: None where it is not at hand, and missing says why. rpm: of the shaft, nominal."""

    name: str
    path: Path | None
    missing: str = ""
    rate_hz: float | None = None
    rpm: float | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Group:
    """Recordings of one machine.

    set: the set they are of; channel: of a file with several. rpm: in place of the catalogue's. teach: healthy
    recordings that make the baseline, whole; where there are none, each record's own first `learn` measurements.
    bring_to: the rate in Hz that recordings are brought to, None for the sensor's.
    """

    name: str
    title: str
    set: str
    bearing: str
    records: tuple[str, ...]
    channel: str | None = None
    rpm: float | None = None
    teach: tuple[str, ...] = ()
    learn: int = 0
    bring_to: float | None = None

    def place(self, record: str) -> Place:
        """Where a record of the group is."""
        return _PLACES[self.set](record)

    def load(self, place: Place) -> Recording:
        """The recording at a place that has a path. Raises RecordingError."""
        assert place.path is not None
        return load(place.path, channel=self.channel, rate=place.rate_hz, unit=place.unit)


def groups() -> list[Group]:
    """The benchmark's groups."""
    entries: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("groups.toml").read_text())["groups"]
    for entry in entries:
        entry["records"] = tuple(entry["records"])
        entry["teach"] = tuple(entry.get("teach", ()))
    return [Group(**entry) for entry in entries]


def _cwru(record: str) -> Place:
    file = next(file for file in cwru_files() if file.name == record)
    if file.artifact is None:
        return Place(record, None, "its sha256 is unknown")
    if not file.cached:
        return Place(record, None, "not fetched")
    return Place(record, file.path, rate_hz=file.rate_hz, rpm=file.rpm)


def _mfpt(record: str) -> Place:
    file = next(file for file in mfpt_files() if file.name == record)
    return Place(record, fetch(file.artifact)) if file.cached else Place(record, None, "not fetched")


def _pronostia(record: str) -> Place:
    life = next(life for life in lives() if life.name == record)
    if not life.cached:
        return Place(record, None, "not fetched")
    return Place(record, life.path, rate_hz=PRONOSTIA_HZ, rpm=life.rpm, unit="g")


_PLACES = {"cwru": _cwru, "mfpt": _mfpt, "pronostia": _pronostia}
