"""The PRONOSTIA set: 17 bearings run to failure, fetched on request and never shipped.

Nectoux et al., "PRONOSTIA: An experimental platform for bearings accelerated degradation tests", IEEE PHM 2012:
2,560 samples at 25.6 kHz every 10 s, along two axes, until 20 g were passed. Its public repository holds a text file a
record; what is cached is an array a bearing, made of them.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import ArtifactError
from quaver.files.pinned import Artifact, Progress, cache_dir, is_cached, keep

PRONOSTIA_TERMS = "PRONOSTIA, FEMTO-ST, IEEE PHM 2012 data challenge: public, to be cited, fetched, not shipped"
PRONOSTIA_HZ = 25600.0

_SAMPLES = 2560
_RECORD = np.dtype([("t", "<f8"), ("horizontal", "<f4", (_SAMPLES,)), ("vertical", "<f4", (_SAMPLES,))])
_DAY_S = 86400.0


@dataclass(frozen=True)
class Life:
    """One bearing's run to failure. name: "Bearing1_1"; rpm: the shaft's speed; part: its folder in the repository."""

    name: str
    part: str
    rpm: float
    artifact: Artifact

    @property
    def cached(self) -> bool:
        """Whether its array is cached and complete."""
        return is_cached(self.artifact)

    @property
    def path(self) -> Path:
        """Where its array is, if it is cached."""
        return cache_dir() / self.artifact.folder / self.artifact.name


def _set() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("pronostia.toml").read_text())


def lives() -> list[Life]:
    """The set's 17 bearings, fetched or not."""
    found: list[Life] = []
    for entry in _set()["bearings"]:
        name = f"Bearing{entry['name']}"
        artifact = Artifact("pronostia", f"{name}.npy", entry["sha256"])
        found.append(Life(name, entry["part"], float(entry["rpm"]), artifact))
    return found


def fetch_pronostia(progress: Progress | None = None) -> list[Path]:
    """Fetch the set (a download of 500 MB, kept as 510 MB) unless it is cached; its files in order.

    Raises ArtifactError.
    """
    wanted = [life for life in lives() if not life.cached]
    if wanted:
        catalogue = _set()
        with TemporaryDirectory(dir=cache_dir()) as folder:
            _clone(Path(folder), catalogue["home"], catalogue["commit"])
            for life in wanted:
                data = bearing(Path(folder), catalogue["commit"], f"{life.part}/{life.name}")
                _keep(life, data)
                if progress:
                    progress(life.artifact.name, len(data), len(data))
    return [life.path for life in lives()]


def _clone(folder: Path, home: str, commit: str) -> None:
    _git(folder, "init", "--quiet", "--bare")
    _git(folder, "fetch", "--quiet", "--depth", "1", home, commit)


def _git(repository: Path, *command: str, given: str = "") -> bytes:
    try:
        done = subprocess.run(["git", "-C", repository, *command], input=given.encode(), capture_output=True)
    except OSError as error:
        raise ArtifactError("git can't be run: install git, which fetches PRONOSTIA's repository") from error
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise ArtifactError(f"PRONOSTIA's repository can't be read ({reason}): go online once")
    return done.stdout


def _keep(life: Life, data: bytes) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != life.artifact.sha256:
        raise ArtifactError(
            f"{life.name}: its records have sha256 {found}, expected {life.artifact.sha256}: the repository has "
            "changed; report it"
        )
    keep(life.path, data)


def bearing(repository: Path, commit: str, folder: str) -> bytes:
    """The .npy of a bearing's records: t in s since the first, both axes in g, float32 of shape (2560,).

    A record that is cut short is left out.
    """
    listed = _git(repository, "ls-tree", "--name-only", commit, f"{folder}/").decode().split()
    names = sorted(name for name in listed if "/acc_" in name)
    batch = _git(repository, "cat-file", "--batch", given="".join(f"{commit}:{name}\n" for name in names))
    rows: list[tuple[float, NDArray[np.float32], NDArray[np.float32]]] = []
    at = 0
    for _ in names:
        head, _, _ = batch[at : at + 200].partition(b"\n")
        size = int(head.split()[2])
        at += len(head) + 1
        if (row := _parsed(batch[at : at + size])) is not None:
            rows.append(row)
        at += size + 1
    records = np.array(rows, dtype=_RECORD)
    records["t"] = np.unwrap(records["t"] - records["t"][0], period=_DAY_S)
    file = io.BytesIO()
    np.save(file, records)
    return file.getvalue()


def _parsed(text: bytes) -> tuple[float, NDArray[np.float32], NDArray[np.float32]] | None:
    """Hour, minute, second, microsecond, horizontal and vertical acceleration in g; commas or semicolons between."""
    values = np.fromstring(text.replace(b";", b" ").replace(b",", b" ").decode(), sep=" ")
    if values.size != 6 * _SAMPLES:
        return None
    rows = values.reshape(-1, 6)
    hour, minute, second, micro = rows[0, :4]
    start = hour * 3600 + minute * 60 + second + micro * 1e-6
    return float(start), rows[:, 4].astype(np.float32), rows[:, 5].astype(np.float32)
