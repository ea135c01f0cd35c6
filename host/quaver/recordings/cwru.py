"""The bearing data of Case Western Reserve University, fetched on request and never shipped.

A 2 hp motor with pits of 7 to 28 thousandths of an inch eroded into one bearing, an SKF 6205 at its drive end or a 6203
at its fan end, at loads of 0 to 3 hp (https://engineering.case.edu/bearingdatacenter).
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.errors import ArtifactError
from quaver.files.pinned import Artifact, Progress, cache_dir, fetch, is_cached

_UNREACHABLE = 3  # so many files in a row from the first that can't be had: their home can't be reached
CWRU_TERMS = "Case Western Reserve University bearing data: public, to be cited, fetched, not shipped"


@dataclass(frozen=True)
class CwruFile:
    """One file of the set, by its number. rate_hz: of its samples; load_hp, rpm: of the motor, as its page says.

    artifact: None where nobody has seen the file yet and its sha256 is unknown: it is neither fetched nor measured.
    """

    name: str
    rate_hz: float
    load_hp: int
    rpm: float
    artifact: Artifact | None

    @property
    def cached(self) -> bool:
        """Whether the file is cached, with the sha256 that it should have."""
        return self.artifact is not None and is_cached(self.artifact)

    @property
    def path(self) -> Path:
        """Where the file is, if it is cached."""
        return cache_dir() / "cwru" / f"{self.name}.mat"


@functools.cache
def cwru_files() -> tuple[CwruFile, ...]:
    """The set's files, fetched or not: healthy, then drive end and fan end, by number."""
    catalogue = tomllib.loads(Path(__file__).with_name("cwru.toml").read_text())
    return tuple(_file(catalogue, entry) for entry in catalogue["files"])


def _file(catalogue: dict[str, Any], entry: dict[str, Any]) -> CwruFile:
    name, sha256 = str(entry["number"]), entry.get("sha256")
    artifact = Artifact("cwru", f"{name}.mat", sha256, url=f"{catalogue['home']}/{name}.mat") if sha256 else None
    return CwruFile(name, float(entry["rate"]), entry["load"], float(catalogue["rpm"][entry["load"]]), artifact)


def fetch_cwru(progress: Progress | None = None) -> tuple[list[Path], list[str]]:
    """Fetch each file whose sha256 is known (about 350 MB) unless it is cached.

    Gives (paths, a line for each file that could not be had). Raises ArtifactError where their home can't be reached.
    """
    paths: list[Path] = []
    missing: list[str] = []
    for file in cwru_files():
        if file.artifact is None:
            continue
        try:
            paths.append(fetch(file.artifact, progress))
        except ArtifactError as error:
            missing.append(str(error))
            if not paths and len(missing) == _UNREACHABLE:
                raise
    return paths, missing
