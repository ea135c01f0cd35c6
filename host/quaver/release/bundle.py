"""A release as one file: the signed manifest and every file that it names, each once. The schema is
protocols/release.cddl.

The same input, key included, gives the same bytes on any machine.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cbor2

from quaver import __version__
from quaver.board.image import read_image
from quaver.board.spec import BoardSpec, load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.build.partitions import application
from quaver.build.tree import without_packs
from quaver.errors import ReleaseError
from quaver.files.pinned import Progress
from quaver.release.files import File, listing, parse
from quaver.release.manifest import BoardPart, ImagePart, Manifest, PatchPart, decode
from quaver.release.patches import patched, patches
from quaver.release.sbom import bill_of_materials
from quaver.release.signing import PrivateKey, PublicKey, payload_of, signer_of

FILE_MAX = 32 << 20  # bytes of a release
_PIECE = 1 << 15  # bytes of an image that are one content; a list of files has 16 bits for it
_SIGNERS = 2
_MPY_MAGIC = ord("M")


@dataclass(frozen=True)
class Release:
    """envelopes: the manifest as signed by each key, COSE_Sign1. contents: SHA-256 -> content, of all it names."""

    envelopes: tuple[bytes, ...]
    manifest: Manifest
    contents: Mapping[bytes, bytes]

    @property
    def signers(self) -> tuple[bytes, ...]:
        """The key ids that the signatures claim, 8 bytes each; `verify` checks one."""
        return tuple(signer_of(envelope) for envelope in self.envelopes)

    @property
    def sbom(self) -> bytes:
        """The bill of materials, CycloneDX in JSON."""
        return self.contents[self.manifest.sbom]

    def files(self, board: str) -> list[File]:
        """What the release has for a board. Raises ReleaseError for a board that it is not for."""
        if board not in self.manifest.boards:
            raise ReleaseError(f"the release is not for {board}: it is for {', '.join(sorted(self.manifest.boards))}")
        return parse(self.contents[self.manifest.boards[board].listing])

    def contents_of(self, board: str) -> dict[str, bytes]:
        """Path -> content of the same."""
        return {file.path: self.contents[file.sha256] for file in self.files(board)}

    def encode(self) -> bytes:
        """The bytes of the file."""
        return cbor2.dumps([list(self.envelopes), dict(self.contents)], canonical=True)

    def verify(self, key: PublicKey, now: float | None = None) -> None:
        """Raise ReleaseError unless `key` has signed it and it has not expired. now: s since 1970."""
        mine = [envelope for envelope in self.envelopes if signer_of(envelope) == key.key_id]
        key.verify((mine or list(self.envelopes))[0])
        self.check_expiry(now)

    def check_expiry(self, now: float | None = None) -> None:
        """Raise ReleaseError once it has expired. now: s since 1970."""
        if self.manifest.expires <= (time.time() if now is None else now):
            raise ReleaseError(
                f"the release expired on {time.strftime('%Y-%m-%d', time.gmtime(self.manifest.expires))}: "
                "no node takes it; build it anew with a later --expires"
            )


def build_release(
    boards: Iterable[str],
    sequence: int,
    *,
    expires: int,
    key: PrivateKey,
    next_key: PrivateKey | None = None,
    downgrade: Iterable[bytes] = (),
    version: str = __version__,
    images: bool = False,
    after: Sequence[Release] = (),
    progress: Progress | None = None,
) -> Release:
    """The release of this quaver's firmware for `boards`. The rest as in `Manifest`; next_key signs it too.

    images: with MicroPython itself, for the boards among them that can take it. after: earlier releases, which nodes
    have whose files are to be patched.

    Raises ReleaseError, BoardFileError, BuildError, ArtifactError.
    """
    specs = [load_board(name) for name in sorted(set(boards))]
    parts: dict[str, BoardPart] = {}
    contents: dict[bytes, bytes] = {}
    pictures: dict[str, ImagePart] = {}
    changes: dict[str, PatchPart] = {}
    for spec in specs:
        files = firmware_files(spec.name) | device_libraries(spec, progress)
        del files["boot.py"]  # a node keeps its own: what guards an update is changed by cable only
        named = listing(files)
        contents |= {hashlib.sha256(data).digest(): data for data in (named, *files.values())}
        parts[spec.name] = BoardPart(
            spec.chip,
            _mpy_version(files),
            (spec.image.version, *spec.also) if spec.image else (),
            listing=hashlib.sha256(named).digest(),
            size=len(named),
        )
        made = patches([old.contents_of(spec.name) for old in after if spec.name in old.manifest.boards], files)
        if made:
            digest = hashlib.sha256(made).digest()
            contents[digest] = made
            changes[spec.name] = PatchPart(digest, len(made))
        if images and spec.image and spec.silicon.loader != "uf2":
            pieces = _pieces(firmware_image(spec, progress))
            named = listing(pieces)
            contents |= {hashlib.sha256(data).digest(): data for data in (named, *pieces.values())}
            pictures[spec.name] = ImagePart(spec.image.version, hashlib.sha256(named).digest(), len(named))
    if images and not pictures:
        raise ReleaseError("none of these boards can take an image of MicroPython over the air: leave out --with-image")
    sbom = bill_of_materials(version, specs)
    contents[hashlib.sha256(sbom).digest()] = sbom
    manifest = Manifest(
        sequence,
        version,
        expires=expires,
        boards=parts,
        sbom=hashlib.sha256(sbom).digest(),
        next_key=next_key.public.xy if next_key else None,
        downgrade=tuple(sorted(set(downgrade))),
        images=pictures,
        patches=changes,
    )
    payload = manifest.encode()
    keys = [key, next_key] if next_key else [key]
    return Release(tuple(signer.sign(payload) for signer in keys), manifest, contents)


def firmware_image(spec: BoardSpec, progress: Progress | None = None) -> bytes:
    """The application of a board's official image, as it lies in a slot. Raises BuildError, ArtifactError."""
    return application(read_image(spec, progress), spec.silicon.image_offset)


def _pieces(image: bytes) -> dict[str, bytes]:
    """By names that are in their order: a node fetches each by itself, and checks it."""
    return {f"image/{at // _PIECE:03}": image[at : at + _PIECE] for at in range(0, len(image), _PIECE)}


def read_release(path: Path) -> Release:
    """The release in a file, whole: every content is there once and has its SHA-256. Its signature is not checked.

    Raises ReleaseError.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise ReleaseError(f"{path}: can't be read ({error.strerror}); name the file of a release") from error
    if len(data) > FILE_MAX:
        raise ReleaseError(f"{path}: is longer than {FILE_MAX} bytes: it is not a release")
    try:
        return _decode(data)
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error}") from error


def _decode(data: bytes) -> Release:
    try:
        found = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise ReleaseError("is not a release, or is cut off: fetch or build it again") from error
    if not isinstance(found, list) or len(found) != 2:
        raise _no_release()
    envelopes, contents = found
    if not isinstance(envelopes, list) or not 0 < len(envelopes) <= _SIGNERS or not isinstance(contents, dict):
        raise _no_release()
    if not all(isinstance(envelope, bytes) for envelope in envelopes) or cbor2.dumps(found, canonical=True) != data:
        raise _no_release()
    for digest, content in contents.items():
        if not isinstance(content, bytes) or hashlib.sha256(content).digest() != digest:
            raise ReleaseError("a content does not have its SHA-256: the file is corrupt; fetch or build it again")
    payloads = {payload_of(envelope) for envelope in envelopes}
    if len(payloads) != 1:
        raise ReleaseError("its signatures are of different manifests: it was not made by quaver")
    release = Release(tuple(envelopes), decode(payloads.pop()), contents)
    _check_complete(release)
    return release


def _no_release() -> ReleaseError:
    return ReleaseError("is not a release: name a file that `quaver release build` wrote")


def _check_complete(release: Release) -> None:
    """Raise ReleaseError unless the contents are what the manifest names, no more and no less."""
    lists = [(name, part.listing, part.size) for name, part in release.manifest.boards.items()]
    lists += [(name, image.listing, image.size) for name, image in release.manifest.images.items()]
    named = {release.manifest.sbom} | {digest for _, digest, _ in lists}
    named |= {part.patches for part in release.manifest.patches.values()}
    missing = named - set(release.contents)
    if not missing:
        for name, digest, size in lists:
            if len(release.contents[digest]) != size:
                raise ReleaseError(f"the list of files for {name} does not have its size: the file is corrupt")
            for file in parse(release.contents[digest]):
                named.add(file.sha256)
                if len(release.contents.get(file.sha256, b"")) != file.size:
                    missing.add(file.sha256)
        for part in release.manifest.patches.values():
            if len(release.contents[part.patches]) != part.size:
                raise ReleaseError("its patches do not have their size: the file is corrupt")
            patched(release.contents[part.patches])
    if missing:
        raise ReleaseError(f"{len(missing)} of its contents are missing: the file is corrupt; fetch or build it again")
    if named != set(release.contents):
        raise ReleaseError("it holds contents that its manifest does not name: it was not made by quaver")


def _mpy_version(files: Mapping[str, bytes]) -> int:
    """version | sub-version << 8 of the .mpy files (MicroPython, docs/reference/mpyfiles.rst): one for all."""
    headers = [data[:3] for path, data in without_packs(files).items() if path.endswith(".mpy")]
    versions = {header[1] for header in headers}
    native = {header[2] & 3 for header in headers if header[2] >> 2}
    if any(header[0] != _MPY_MAGIC for header in headers) or len(versions) != 1 or len(native) > 1:
        raise ReleaseError("the .mpy files are not all of one version: build the release with one mpy-cross")
    return versions.pop() | (native.pop() << 8 if native else 0)
